function out = table(url, channels, from, to, varargin)
% VARVE.TABLE  Channels side by side on one grid of times.
%
%   t = varve.table(url, {'A', 'B'}, '-1h', 'now', 'grid', '1s', 'fill', 'hold')
%
% Arguments are those of varve.samples; 'grid' is a step, 'at:CHANNEL' or 'union'; 'fill' is hold, none, linear or
% mean. Where timetable exists t is one, with a variable for each channel (units in its properties). Elsewhere t is a
% struct with time_ns (int64) and columns, a struct array with name, type, units, metadata and value: N x 1 doubles,
% NaN where nothing was held, or a cell array for texts, enums (their names) and arrays, [] where nothing was held.
  parameters = [varve.wire.channel_list(channels), varve.wire.time_range(from, to), varargin, {'format', 'json'}];
  answer = varve.wire.from_json(varve.wire.request(url, 'table', parameters));
  time_ns = int64(answer.time_ns(:));
  found = varve.wire.as_cells(answer.columns);
  columns = struct('name', {}, 'type', {}, 'units', {}, 'metadata', {}, 'value', {});
  for n = 1:numel(found)
    column = found{n};
    varve.wire.refuse(column);
    kind = varve.wire.pick(column, 'type', '');
    metadata = varve.wire.pick(column, 'metadata', struct());
    columns(n) = struct('name', column.name, 'type', kind, 'units', varve.wire.pick(metadata, 'units', ''), ...
                        'metadata', metadata, 'value', {table_values(column.value, kind, metadata, numel(time_ns))});
  end
  if exist('timetable') > 0 %#ok<EXIST>
    names = matlab.lang.makeUniqueStrings({columns.name});
    out = timetable(varve.wire.to_datetime(time_ns), columns.value, 'VariableNames', names);
    out.Properties.VariableUnits = cellfun(@char, {columns.units}, 'UniformOutput', false);
    out.Properties.UserData = struct('time_ns', time_ns, 'columns', rmfield(columns, 'value'));
  else
    out = struct('time_ns', time_ns, 'columns', columns, 'complete', varve.wire.pick(answer, 'complete', true), ...
                 'problems', {varve.wire.pick(answer, 'problems', [])});
  end
end

function values = table_values(raw, kind, metadata, count)
  if ~iscell(raw)
    raw = num2cell(raw(:));
  end
  raw = reshape(raw, [], 1);
  if numel(raw) ~= count
    error('varve:broken', 'a column has %d values for %d times', numel(raw), count);
  end
  if any(strcmp(kind, {'string', 'enum'})) || any(kind == '[')
    values = raw;
    states = varve.wire.pick(metadata, 'states', {});
    for n = 1:count
      if strcmp(kind, 'enum') && isnumeric(raw{n}) && ~isempty(raw{n}) && raw{n} < numel(states)
        values{n} = states{raw{n} + 1};
      end
    end
    return
  end
  values = nan(count, 1);
  for n = 1:count
    if ~isempty(raw{n})
      values(n) = double(varve.wire.exact_value(raw{n}, 'float64'));
    end
  end
end
