function out = as_cells(list)
% Gives a list of objects as a column of cells, whatever jsondecode made of it.
  if isstruct(list)
    out = num2cell(list(:));
  elseif iscell(list)
    out = list(:);
  else
    out = cell(0, 1);
  end
end
