function out = exact_value(value, kind)
% Gives numbers that JSON has to write as texts.
  out = value;
  if ischar(value) && any(strcmp(kind, {'float32', 'float64'}))
    out = str2double(value);
  end
end
