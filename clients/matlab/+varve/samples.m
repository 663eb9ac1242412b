function out = samples(url, channels, from, to, varargin)
% VARVE.SAMPLES  Raw samples of channels, every one as it was stored.
%
%   s = varve.samples(url, 'SR:DCCT:CURRENT', '-1h', 'now')
%   s = varve.samples(url, {'A', 'B'}, from, to, 'limit', 100)
%
% channels is a name or a cell array of names; from and to are text that the server understands, int64
% nanoseconds since 1970 UTC, or datetime values (with a TimeZone). Further pairs are parameters of the
% request, like 'limit', 'order', 'elements', 'tz', 'where' (retrieval-server/PROTOCOL.md).
%
% s is a struct, for several channels a struct array, with
%   name, channel   as asked for, as stored
%   type            like 'float64' or 'int16[]'; '' without samples
%   time_ns         int64, nanoseconds since 1970 UTC
%   time            datetime in UTC, where datetime exists
%   value           N x 1 in its own class; N x M for arrays of one length; a cell array for texts, arrays of
%                   different lengths, and channels whose type changed
%   severity, status   alarm codes (0 no alarm, 1 minor, 2 major, 3 invalid)
%   states, label   of enums: the names, and a cell array with the name of each value
%   units, metadata, segments, edge, gaps, range, complete, problems
%
% An unknown channel is the error varve:unknown_channel; an answer without a valid end is varve:broken.
  parameters = [{'edge', 'true'}, varargin, {'format', 'columns'}];
  bytes = varve.wire.request(url, 'samples', [varve.wire.channel_list(channels), varve.wire.time_range(from, to), parameters]);
  [blocks, ending] = varve.wire.decode(bytes);
  about = ending.channels;
  for n = 1:numel(about)
    varve.wire.refuse(about{n});
    mine = blocks([blocks.kind] == 1 & [blocks.channel_index] == n - 1);
    out(n) = one_channel(about{n}, mine, ending); %#ok<AGROW>
  end
end

function s = one_channel(about, blocks, ending)
  is_edge = arrayfun(@(b) isfield(b.columns, 'edge') && any(b.columns.edge), blocks);
  beside = blocks(is_edge);
  blocks = blocks(~is_edge);
  s = struct();
  s.name = about.name;
  s.channel = varve.wire.pick(about, 'channel', about.name);
  s.type = '';
  s.time_ns = varve.wire.gather(blocks, 'time_ns', int64(zeros(0, 1)));
  if exist('datetime') > 0 %#ok<EXIST>
    s.time = varve.wire.to_datetime(s.time_ns);
  end
  s.value = zeros(0, 1);
  s.severity = varve.wire.gather(blocks, 'severity', uint8(zeros(0, 1)));
  s.status = varve.wire.gather(blocks, 'status', uint16(zeros(0, 1)));
  s.states = {};
  s.label = {};
  s.metadata = struct();
  s.segments = struct('first', {}, 'last', {}, 'type', {}, 'metadata', {});
  s.edge = [];
  s.after = [];
  row = 0;
  for n = 1:numel(blocks)
    b = blocks(n);
    if n > 1 && isequal(b.description, blocks(n - 1).description)
      s.segments(end).last = row + b.count;
    else
      s.segments(end + 1) = struct('first', row + 1, 'last', row + b.count, ...
                                   'type', b.description.type, 'metadata', b.description.metadata);
    end
    row = row + b.count;
  end
  if ~isempty(blocks)
    s.type = blocks(end).description.type;
    s.metadata = blocks(end).description.metadata;
    s.value = join_values(blocks);
    if all(arrayfun(@(g) strcmp(g.type, 'enum'), s.segments))
      s.label = cell(row, 1);
      for g = s.segments
        s.label(g.first:g.last) = labels(s.value(g.first:g.last), g.metadata);
      end
    end
  end
  for n = 1:numel(beside)
    b = beside(n);
    value = b.value;
    if iscell(value)
      value = value{1};
    end
    e = struct('time_ns', b.columns.time_ns(1), 'type', b.description.type, 'value', {value}, ...
               'severity', b.columns.severity(1), 'status', b.columns.status(1), ...
               'held', varve.wire.pick(b.description, 'held', []), 'metadata', b.description.metadata);
    if isempty(e.held)
      s.after = e;
    else
      s.edge = e;
    end
    if isempty(s.type)
      s.type = e.type;
      s.metadata = e.metadata;
    end
  end
  s.units = varve.wire.pick(s.metadata, 'units', '');
  s.states = varve.wire.pick(s.metadata, 'states', {});
  s.next = varve.wire.pick(about, 'next', '');
  s.gaps = varve.wire.pick(about, 'gaps', []);
  s.range = struct('from_ns', ending.from_ns, 'to_ns', ending.to_ns);
  s.complete = ending.complete;
  s.problems = ending.problems;
end

function value = join_values(blocks)
  classes = unique(arrayfun(@(b) class(b.value), blocks, 'UniformOutput', false));
  widths = unique(arrayfun(@(b) size(b.value, 2), blocks));
  types = unique(arrayfun(@(b) double(b.value_type), blocks));
  if numel(classes) == 1 && numel(widths) == 1 && numel(types) == 1
    value = vertcat(blocks.value);
    return
  end
  parts = cell(numel(blocks), 1);
  for n = 1:numel(blocks)
    part = blocks(n).value;
    if ~iscell(part)
      part = mat2cell(part, ones(size(part, 1), 1), size(part, 2));
    end
    parts{n} = part;
  end
  value = vertcat(parts{:});
end

function names = labels(indices, metadata)
  states = varve.wire.pick(metadata, 'states', {});
  names = cell(numel(indices), 1);
  known = double(indices) < numel(states);
  names(known) = states(double(indices(known)) + 1);
  names(~known) = arrayfun(@(n) sprintf('%d', n), indices(~known), 'UniformOutput', false);
end
