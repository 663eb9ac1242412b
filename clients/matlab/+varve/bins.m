function out = bins(url, channels, from, to, varargin)
% VARVE.BINS  Statistics of channels over bins of time.
%
%   b = varve.bins(url, 'SR:DCCT:CURRENT', '-1d', 'now', 'bins', 1000)
%   b = varve.bins(url, {'A', 'B'}, from, to, 'width', '60s', 'stats', 'mean,max')
%
% Arguments are those of varve.samples; 'bins' or 'width' is needed. b is a struct, for several channels a struct
% array, with name, type, units, metadata, range, complete, problems, and columns: start_ns width_ns covered_ns
% min_ns max_ns first_ns last_ns (int64; the least int64 where there is nothing), count nonfinite invalid (uint64),
% mean min max std first last twmean (double; NaN where there is nothing), severity; start is a datetime in UTC
% where datetime exists.
  parameters = [varargin, {'format', 'columns'}];
  bytes = varve.wire.request(url, 'bins', [varve.wire.channel_list(channels), varve.wire.time_range(from, to), parameters]);
  [blocks, ending] = varve.wire.decode(bytes);
  names = {'start_ns', 'width_ns', 'count', 'mean', 'min', 'max', 'std', 'first', 'last', 'min_ns', 'max_ns', ...
           'first_ns', 'last_ns', 'twmean', 'covered_ns', 'severity', 'nonfinite', 'invalid'};
  for n = 1:numel(ending.channels)
    about = ending.channels{n};
    varve.wire.refuse(about);
    mine = blocks([blocks.kind] == 3 & [blocks.channel_index] == n - 1);
    b = struct('name', about.name, 'type', '', 'units', '', 'metadata', struct());
    if ~isempty(mine)
      b.type = varve.wire.pick(mine(end).description, 'type', '');
      b.metadata = varve.wire.pick(mine(end).description, 'metadata', struct());
      b.units = varve.wire.pick(b.metadata, 'units', '');
    end
    for k = 1:numel(names)
      present = isempty(mine) || isfield(mine(1).columns, names{k});
      if present
        b.(names{k}) = varve.wire.gather(mine, names{k}, zeros(0, 1));
      else
        b.(names{k}) = [];
      end
    end
    if isempty(mine)
      b.start_ns = int64(zeros(0, 1));
    end
    if exist('datetime') > 0 %#ok<EXIST>
      b.start = varve.wire.to_datetime(b.start_ns);
    end
    b.range = struct('from_ns', ending.from_ns, 'to_ns', ending.to_ns);
    b.complete = ending.complete;
    b.problems = ending.problems;
    out(n) = b; %#ok<AGROW>
  end
end
