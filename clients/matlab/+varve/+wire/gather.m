function out = gather(blocks, name, absent)
% Puts one column of all blocks end to end.
  if isempty(blocks)
    out = absent;
    return
  end
  parts = arrayfun(@(b) b.columns.(name), blocks, 'UniformOutput', false);
  out = vertcat(parts{:});
end
