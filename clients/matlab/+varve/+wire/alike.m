function out = alike(rows)
% Makes a struct array of objects whose fields may differ; what one lacks is empty.
  names = {};
  for n = 1:numel(rows)
    names = [names; setdiff(fieldnames(rows{n}), names, 'stable')]; %#ok<AGROW>
  end
  if isempty(rows)
    out = struct('name', {});
    return
  end
  for n = 1:numel(rows)
    for k = 1:numel(names)
      out(n, 1).(names{k}) = varve.wire.pick(rows{n}, names{k}, []); %#ok<AGROW>
    end
  end
end
