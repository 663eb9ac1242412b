function out = coverage(url, channels, from, to, varargin)
% VARVE.COVERAGE  What the archive knows about every instant of a range.
%
%   c = varve.coverage(url, 'SR:DCCT:CURRENT', '-1d', 'now')
%
% c is a struct array with name, intervals (a struct array of from_ns and to_ns, int64, and state: held disconnected
% paused engine_down dropped unknown damaged not_archived) and totals_ns.
  answer = varve.wire.from_json(varve.wire.request(url, 'coverage', [varve.wire.channel_list(channels), varve.wire.time_range(from, to), varargin]));
  rows = varve.wire.as_cells(answer.channels);
  for n = 1:numel(rows)
    varve.wire.refuse(rows{n});
  end
  out = varve.wire.alike(rows);
end
