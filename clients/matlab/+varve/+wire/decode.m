function [blocks, ending] = decode(bytes)
% Decodes the wire format `columns` (retrieval-server/PROTOCOL.md) with typecast, column by column.
  broken = @(what) error('varve:broken', 'the answer is broken: %s', what);
  bytes = reshape(bytes, [], 1);
  if numel(bytes) < 16 || ~isequal(bytes(1:8)', uint8([147 86 67 79 76 13 10 26]))
    broken('it is not in the format columns');
  end
  if typecast(bytes(9:10), 'uint16') > 1
    error('varve:too_new', 'the server sends a newer version of columns: update +varve');
  end
  empty = struct('kind', {}, 'count', {}, 'channel_index', {}, 'value_type', {}, 'name', {}, ...
                 'description', {}, 'columns', {}, 'value', {});
  found = {};
  ending = [];
  at = 16;
  last_text = '';
  last_description = struct();
  while isempty(ending)
    if at + 64 > numel(bytes)
      broken('it ends before its end block');
    end
    words = double(typecast(bytes(at + (1:64)), 'uint32'));
    sizes = double(typecast(bytes(at + (1:64)), 'uint64'));
    kind = words(1);
    size_bytes = sizes(2);
    if at + size_bytes > numel(bytes) || size_bytes < 64 || mod(size_bytes, 8) ~= 0
      broken('it ends inside a block');
    end
    entries = 64 + 24 * words(2);
    if entries + words(11) + words(12) > size_bytes
      broken('a block''s head is longer than the block');
    end
    text = bytes(at + entries + words(11) + (1:words(12)));
    if kind == 2
      if at + size_bytes ~= numel(bytes)
        broken('something follows its end block');
      end
      said = typecast(bytes(end - 7:end), 'uint64');
      if uint64(varve.wire.crc32(bytes(1:end - 8))) ~= said
        broken('its checksum is wrong');
      end
      ending = varve.wire.from_json(text);
      ending.channels = varve.wire.as_cells(ending.channels);
      ending.count = sizes(3);
    elseif kind == 1 || kind == 3
      if ~isequal(char(text'), last_text)
        last_text = char(text');
        last_description = varve.wire.from_json(text);
      end
      b = struct('kind', kind, 'count', sizes(3), 'channel_index', words(7), 'value_type', words(8), ...
                 'name', native2unicode(bytes(at + entries + (1:words(11)))', 'UTF-8'), ...
                 'description', last_description, 'columns', struct(), 'value', []);
      for n = 1:words(2)
        entry = bytes(at + 64 + 24 * (n - 1) + (1:24));
        head = double(typecast(entry, 'uint32'));
        place = double(typecast(entry, 'uint64'));
        if place(2) + place(3) > size_bytes
          broken('a column lies outside its block');
        end
        name = tag_name(head(1));
        if ~isempty(name)
          b.columns.(name) = elements(bytes(at + place(2) + (1:place(3))), head(2));
        end
      end
      if kind == 1
        b.value = values(b, broken);
      end
      found{end + 1} = b; %#ok<AGROW>
    end
    at = at + size_bytes;
  end
  if isempty(found)
    blocks = empty;
  else
    blocks = [found{:}];
  end
end

function name = tag_name(tag)
  names = {'time_ns', 'value', 'value_offsets', 'string_offsets', 'severity', 'status', 'received_ns', ...
           'user_tag', 'message', 'message_offsets', 'edge', 'descriptor'};
  bins = {'start_ns', 'width_ns', 'count', 'mean', 'min', 'max', 'std', 'first', 'last', 'min_ns', 'max_ns', ...
          'first_ns', 'last_ns', 'twmean', 'covered_ns', 'severity', 'nonfinite', 'invalid'};
  name = '';
  if tag >= 1 && tag <= numel(names)
    name = names{tag};
  elseif tag >= 32 && tag < 32 + numel(bins)
    name = bins{tag - 31};
  end
end

function out = elements(raw, element_type)
  classes = {'uint8', 'uint16', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64', ...
             'single', 'double', 'uint8', 'uint8'};
  if element_type < 1 || element_type > numel(classes)
    error('varve:too_new', 'element type %d is unknown: update +varve', element_type);
  end
  if isempty(raw)
    out = cast(zeros(0, 1), classes{element_type});
  else
    out = typecast(raw, classes{element_type});
  end
  if element_type == 1
    out = logical(out);
  end
end

function out = values(b, broken)
  element_type = mod(b.value_type, 256);
  is_array = b.value_type >= 256;
  out = b.columns.value;
  if element_type == 13 || element_type == 14
    bounds = double(b.columns.string_offsets);
    if bounds(end) ~= numel(out) || any(diff(bounds) < 0)
      broken('offsets do not fit their column');
    end
    raw = out';
    out = cell(numel(bounds) - 1, 1);
    for n = 1:numel(out)
      part = raw(bounds(n) + 1:bounds(n + 1));
      if element_type == 13
        part = native2unicode(part, 'UTF-8');
      end
      out{n} = part;
    end
  end
  if ~is_array
    if numel(out) ~= b.count
      broken('a batch has another number of values than it says');
    end
    return
  end
  bounds = double(b.columns.value_offsets);
  if numel(bounds) ~= b.count + 1 || bounds(end) ~= numel(out) || any(diff(bounds) < 0)
    broken('offsets do not fit their column');
  end
  lengths = diff(bounds);
  if ~iscell(out) && ~isempty(lengths) && all(lengths == lengths(1)) && lengths(1) > 0
    out = reshape(out, lengths(1), [])';
    return
  end
  parts = cell(b.count, 1);
  for n = 1:b.count
    parts{n} = reshape(out(bounds(n) + 1:bounds(n + 1)), 1, []);
  end
  out = parts;
end
