function out = channel_list(channels)
% Gives the parameters that name channels.
  channels = reshape(cellstr(channels), 1, []);
  out = [repmat({'channel'}, 1, numel(channels)); channels];
  out = reshape(out, 1, []);
end
