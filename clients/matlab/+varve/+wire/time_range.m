function out = time_range(from, to)
% Gives the parameters of a range.
  out = [varve.wire.time_parameter('from', from), varve.wire.time_parameter('to', to)];
end
