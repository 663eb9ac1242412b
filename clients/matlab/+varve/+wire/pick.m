function out = pick(object, name, absent)
% Gives a field of a struct, or something else where it is absent.
  if isstruct(object) && isfield(object, name) && ~isempty(object.(name))
    out = object.(name);
  else
    out = absent;
  end
end
