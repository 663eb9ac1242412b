function out = at(url, channels, time, varargin)
% VARVE.AT  The value that each channel had at an instant.
%
%   v = varve.at(url, {'A', 'B'}, '2026-01-05T08:00:00Z')
%
% v is a struct array in the order asked for with name, held, state, time_ns and age_ns (int64), type, value (enums
% as their names), severity, status, metadata. Numbers that are not finite are NaN, Inf and -Inf.
  if nargin < 3 || isempty(time)
    time = 'now';
  end
  parameters = [varve.wire.channel_list(channels), varve.wire.time_parameter('time', time), {'enum', 'label'}, varargin];
  answer = varve.wire.from_json(varve.wire.request(url, 'at', parameters));
  rows = varve.wire.as_cells(answer.channels);
  for n = 1:numel(rows)
    varve.wire.refuse(rows{n});
    rows{n}.value = varve.wire.exact_value(varve.wire.pick(rows{n}, 'value', []), varve.wire.pick(rows{n}, 'type', ''));
  end
  out = varve.wire.alike(rows);
end
