function out = to_datetime(time_ns)
% Makes UTC datetime values of nanoseconds since 1970. They show nanoseconds; time_ns remains the exact one.
  out = datetime(time_ns, 'ConvertFrom', 'epochtime', 'TicksPerSecond', 1e9, 'TimeZone', 'UTC', ...
                 'Format', 'yyyy-MM-dd HH:mm:ss.SSSSSSSSS');
end
