function sum = crc32(bytes)
% CRC-32 as zlib computes it, over many lanes at once, because a loop over single bytes would take minutes.
%
% The bytes are divided into lanes of equal length that are computed side by side. A lane's sum is carried over
% the next lane by a linear map, which the same loop finds: 32 more lanes of zeros, one for each bit.
  persistent table
  if isempty(table)
    table = uint32(0:255)';
    for n = 1:8
      odd = bitand(table, uint32(1)) == 1;
      table = bitshift(table, -1);
      table(odd) = bitxor(table(odd), uint32(3988292384));
    end
  end
  lanes = max(1, min(2048, floor(numel(bytes) / 64)));
  depth = floor(numel(bytes) / lanes);
  data = [reshape(uint32(bytes(1:lanes * depth)), depth, lanes)', ; zeros(32, depth, 'uint32')];
  state = [uint32(4294967295); zeros(lanes - 1, 1, 'uint32'); bitshift(uint32(1), (0:31)')];
  for n = 1:depth
    place = bitand(bitxor(state, data(:, n)), uint32(255));
    state = bitxor(bitshift(state, -8), table(double(place) + 1));
  end
  carry = state(lanes + 1:end);
  sum = state(1);
  for n = 2:lanes
    moved = uint32(0);
    for bit = carry(bitand(bitshift(sum, -(0:31)'), uint32(1)) == 1)'
      moved = bitxor(moved, bit);
    end
    sum = bitxor(moved, state(n));
  end
  for byte = uint32(bytes(lanes * depth + 1:end))'
    sum = bitxor(bitshift(sum, -8), table(double(bitand(bitxor(sum, byte), uint32(255))) + 1));
  end
  sum = bitxor(sum, uint32(4294967295));
end
