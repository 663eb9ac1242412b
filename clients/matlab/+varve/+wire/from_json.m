function out = from_json(bytes)
% Decodes JSON and keeps integers of 64 bits exact: fields in _ns become int64, which doubles could not hold.
  if isnumeric(bytes)
    bytes = native2unicode(reshape(uint8(bytes), 1, []), 'UTF-8');
  end
  % Long integers outside of texts become texts; what is inside of texts stays.
  [texts, between] = regexp(bytes, '"(?:[^"\\]|\\.)*"', 'match', 'split');
  between = regexprep(between, '(-?\d{16,})(?![\d.eE])', '"$1"');
  mixed = [between; [texts, {''}]];
  out = exact(jsondecode([mixed{:}]), '');
end

function out = exact(value, name)
  is_time = numel(name) > 3 && strcmp(name(end - 2:end), '_ns') && ~strcmp(name, 'totals_ns');
  out = value;
  if isstruct(value)
    names = fieldnames(value);
    for n = 1:numel(value)
      for k = 1:numel(names)
        out(n).(names{k}) = exact(value(n).(names{k}), names{k});
      end
    end
  elseif iscell(value) && is_time
    out = int64(zeros(numel(value), 1));
    for n = 1:numel(value)
      out(n) = to_int64(value{n});
    end
  elseif iscell(value)
    out = cellfun(@(item) exact(item, name), value, 'UniformOutput', false);
  elseif is_time && ~isempty(value)
    if ischar(value) && size(value, 1) > 1 % jsondecode makes a matrix of texts of one length
      out = int64(zeros(size(value, 1), 1));
      for n = 1:size(value, 1)
        out(n) = to_int64(value(n, :));
      end
    else
      out = to_int64(value);
    end
  end
end

function out = to_int64(value)
  if ischar(value)
    negative = value(1) == '-';
    digits = value(1 + negative:end);
    high = int64(str2double(['0', digits(1:max(0, end - 9))]));
    low = int64(str2double(digits(max(1, end - 8):end)));
    if negative
      out = -high * int64(1000000000) - low;
    else
      out = high * int64(1000000000) + low;
    end
  else
    out = int64(value);
  end
end
