function refuse(about)
% Raises the error that stands in the place of a channel.
  if isfield(about, 'error') && ~isempty(about.error)
    near = varve.wire.pick(about.error, 'near', {});
    text = about.error.message;
    if ~isempty(near)
      text = sprintf('%s (near: %s)', text, strjoin(reshape(cellstr(near), 1, []), ', '));
    end
    error(['varve:', about.error.code], '%s', text);
  end
end
