function out = time_parameter(name, time)
% Gives the parameter that means a time: text, int64 nanoseconds since 1970 UTC, or a datetime with a zone.
  if ischar(time)
    out = {name, time};
  elseif isa(time, 'int64') && isscalar(time)
    out = {[name, '_ns'], sprintf('%d', time)};
  elseif isa(time, 'string')
    out = {name, char(time)};
  elseif isa(time, 'datetime')
    if isempty(time.TimeZone)
      error('varve:naive_time', '%s has no zone: set its TimeZone', name);
    end
    out = {[name, '_ns'], sprintf('%d', convertTo(time, 'epochtime', 'TicksPerSecond', 1e9))};
  else
    error('varve:bad_time', '%s is no time: text, int64 nanoseconds since 1970 UTC or a datetime is', name);
  end
end
