function out = channels(url, match, varargin)
% VARVE.CHANNELS  The channels of an archive.
%
%   c = varve.channels(url)
%   c = varve.channels(url, 'SR:BPM*', 'state', 'connected')
%
% match is a glob over whole names ('*' any text, '?' one character). c is a struct array with name, type,
% first_ns and last_ns (int64, empty without samples), samples, bytes, state, reason and what else the server says.
  parameters = [varargin, {'limit', '10000'}];
  if nargin > 1 && ~isempty(match)
    parameters = [parameters, {'match', match}];
  end
  rows = {};
  after = {};
  while true
    answer = varve.wire.from_json(varve.wire.request(url, 'channels', [parameters, after]));
    rows = [rows; varve.wire.as_cells(answer.channels)]; %#ok<AGROW>
    if isempty(answer.next)
      break
    end
    after = {'after', answer.next};
  end
  out = varve.wire.alike(rows);
end
