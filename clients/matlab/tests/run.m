% Tests of +varve against a running server over a day of the standard mix; exit code 1 where one fails.
%
%   VARVE_URL=http://127.0.0.1:17668 octave-cli --no-gui clients/matlab/tests/run.m
%
% VARVE_STREAM names a file with a stream of every type, which clients/test writes; VARVE_RING an engine that
% archives the demonstration's ring. Without them those tests are skipped, and say so.
1;

function check(what, ok)
  if ~ok
    error('test:failed', '%s', what);
  end
end

function raises(identifier, work)
  try
    work();
  catch caught
    check(sprintf('error %s in place of %s (%s)', caught.identifier, identifier, caught.message), ...
          strcmp(caught.identifier, identifier));
    return
  end
  check(['no error ', identifier], false);
end

function [time_ns, value] = from_csv(url, name, from, to)
  % The same samples by another way.
  text = urlread([url, '/api/v1/samples'], 'get', {'channel', name, 'from', from, 'to', to, 'format', 'csv'});
  rows = regexp(text, '[^\n]*,(\d{4}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{9})Z,([^,]*),', 'tokens');
  time_ns = int64(zeros(numel(rows), 1));
  value = zeros(numel(rows), 1);
  for n = 1:numel(rows)
    row = rows{n};
    day = datenum(row{1}, 'yyyy-mm-dd') - datenum(1970, 1, 1);
    second = round(day) * 86400 + str2double(row{2}) * 3600 + str2double(row{3}) * 60 + str2double(row{4});
    time_ns(n) = int64(second) * int64(1000000000) + int64(str2double(row{5}));
    value(n) = str2double(row{6});
  end
end

function samples_are_exact(url)
  [time_ns, value] = from_csv(url, 'SR:PS001:SetPt', '2026-01-05T03:00:00Z', '2026-01-05T04:00:00Z');
  s = varve.samples(url, 'SR:PS001:SetPt', '2026-01-05T03:00:00Z', '2026-01-05T04:00:00Z');
  check('int64', isa(s.time_ns, 'int64') && isa(s.value, 'double'));
  check('classes of alarms', isa(s.severity, 'uint8') && isa(s.status, 'uint16'));
  check('many samples', numel(time_ns) > 50);
  check('times to the nanosecond', isequal(s.time_ns, time_ns));
  check('doubles do not hold them', any(int64(double(time_ns)) ~= time_ns));
  check('values', isequal(s.value, value));
  check('units', strcmp(s.units, 'A') && strcmp(s.type, 'float64'));
  check('edge', isa(s.edge.time_ns, 'int64') && s.edge.time_ns < time_ns(1) && s.edge.held);
  check('range', s.range.to_ns - s.range.from_ns == int64(3600000000000));
  check('whole', s.complete && isempty(s.problems));
  one = varve.samples(url, 'SR:PS001:SetPt', time_ns(6) + int64(1), time_ns(9));
  check('int64 times are times', isequal(one.time_ns, time_ns(7:8)));
  check('the value before them', one.edge.time_ns == time_ns(6) && one.edge.value == value(6));
  limited = varve.samples(url, 'SR:PS001:SetPt', time_ns(1), time_ns(end), 'limit', 3, 'order', 'desc');
  check('limit and order', isequal(limited.time_ns, flipud(time_ns(end - 3:end - 1))));
  check('a cursor', ~isempty(limited.next));
end

function several_channels(url)
  names = {'SR:PS002:SetPt', 'SR:BPM000:X', 'SR:VLV001:Status'};
  s = varve.samples(url, names, '2026-01-05T00:00:00Z', '2026-01-05T04:00:00Z');
  check('order', isequal({s.name}, names));
  check('no samples', isempty(s(2).time_ns) && isa(s(2).time_ns, 'int64'));
  [time_ns, value] = from_csv(url, names{3}, '2026-01-05T00:00:00Z', '2026-01-05T04:00:00Z');
  check('samples', isequal(s(3).time_ns, time_ns) && isequal(s(3).value, value));
  check('gaps', isa(s(2).gaps(1).from_ns, 'int64') && ischar(s(2).gaps(1).state));
  day = varve.samples(url, 'SR00:TC000:Temp', '2026-01-05T00:00:00Z', '2026-01-06T00:00:00Z');
  check('many batches', numel(day.value) > 65536 && issorted(day.time_ns));
  none = varve.samples(url, names{1}, '2025-01-05T00:00:00Z', '2025-01-05T04:00:00Z');
  check('an empty range', isempty(none.value) && isempty(none.edge));
end

function refusals(url)
  raises('varve:unknown_channel', @() varve.samples(url, 'SR:PS001:SetP', '-1h', 'now'));
  raises('varve:unknown_channel', @() varve.samples(url, {'SR:PS001:SetPt', 'no,such {x}+&='}, '-1h', 'now'));
  raises('varve:bad_time', @() varve.samples(url, 'SR:PS001:SetPt', 'soon', 'now'));
  raises('varve:bad_time', @() varve.samples(url, 'SR:PS001:SetPt', 5, 'now'));
  raises('varve:bad_parameter', @() varve.samples(url, 'SR:PS001:SetPt', '-1h', 'now', 'colour', 'red'));
  raises('varve:unreachable', @() varve.samples('http://127.0.0.1:1', 'A', '-1h', 'now'));
  try
    varve.samples(url, 'SR:PS001:SetP', '-1h', 'now');
  catch caught
    check('near names', any(strfind(caught.message, 'SR:PS001:SetPt')));
  end
  many = arrayfun(@(n) sprintf('no such channel %d', n), 1:600, 'UniformOutput', false);
  raises('varve:unknown_channel', @() varve.samples(url, many, '-1h', 'now'));
end

function lists_and_facts(url)
  all_channels = varve.channels(url);
  check('all', numel(all_channels) == 40);
  some = varve.channels(url, 'SR:PS*');
  check('glob', numel(some) == 10 && strcmp(some(2).name, 'SR:PS001:SetPt'));
  check('exact times', isa(some(2).first_ns, 'int64'));
  s = varve.samples(url, 'SR:PS001:SetPt', some(2).first_ns, some(2).last_ns + int64(1));
  check('first and last', s.time_ns(1) == some(2).first_ns && s.time_ns(end) == some(2).last_ns);
  check('count', numel(s.value) == some(2).samples);
  check('none', isempty(varve.channels(url, 'no such')));
  v = varve.at(url, {'SR:PS001:SetPt', 'SR:BPM000:X'}, s.time_ns(5));
  check('held', v(1).time_ns == s.time_ns(5) && v(1).value == s.value(5) && v(1).age_ns == 0);
  check('not held', isempty(v(2).time_ns) && ~v(2).held);
  c = varve.coverage(url, 'SR:PS001:SetPt', '2026-01-04T00:00:00Z', '2026-01-06T00:00:00Z');
  check('coverage', c.intervals(1).from_ns == int64(1767484800) * int64(1000000000));
  check('no seam', isequal([c.intervals(2:end).from_ns], [c.intervals(1:end - 1).to_ns]));
end

function bins_are_those_of_the_samples(url)
  if ~has(url, 'bins')
    return
  end
  b = varve.bins(url, 'SR:PS001:SetPt', '2026-01-05T03:00:00Z', '2026-01-05T04:00:00Z', 'width', '10m');
  s = varve.samples(url, 'SR:PS001:SetPt', '2026-01-05T03:00:00Z', '2026-01-05T04:00:00Z');
  check('classes', isa(b.start_ns, 'int64') && isa(b.count, 'uint64') && isa(b.mean, 'double'));
  check('all samples', sum(double(b.count)) == numel(s.value));
  for n = 1:numel(b.start_ns)
    inside = s.time_ns >= b.start_ns(n) & s.time_ns < b.start_ns(n) + b.width_ns(n);
    check('mean', abs(b.mean(n) - mean(s.value(inside))) < 1e-9);
    check('extremes', b.min(n) == min(s.value(inside)) && b.max(n) == max(s.value(inside)));
    check('first', b.first_ns(n) == min(s.time_ns(inside)));
  end
  chosen = varve.bins(url, {'SR:PS001:SetPt', 'SR:BPM000:X'}, '2026-01-05T03:00:00Z', '2026-01-05T04:00:00Z', ...
                      'bins', 4, 'stats', 'mean');
  check('chosen', isempty(chosen(1).max) && ~isempty(chosen(1).mean) && isempty(chosen(2).mean));
end

function tables(url)
  if ~has(url, 'table')
    return
  end
  t = varve.table(url, {'SR:PS001:SetPt', 'SR:BPM000:X'}, '2026-01-05T03:00:00Z', '2026-01-05T03:10:00Z', ...
                  'grid', '60s', 'fill', 'hold');
  check('exact grid', isa(t.time_ns, 'int64') && all(diff(t.time_ns) == int64(60000000000)));
  for n = 1:numel(t.time_ns)
    v = varve.at(url, 'SR:PS001:SetPt', t.time_ns(n));
    check('held', t.columns(1).value(n) == v.value);
  end
  check('nothing held', all(isnan(t.columns(2).value)));
end

function there = has(url, name)
  there = any(strfind(urlread([url, '/openapi.json']), ['"/api/v1/', name, '"']));
  if ~there
    printf('skipped  this server has no request /api/v1/%s\n', name);
  end
end

function every_type(~)
  file = getenv('VARVE_STREAM');
  if isempty(file)
    printf('skipped  VARVE_STREAM does not name a stream of every type\n');
    return
  end
  handle = fopen(file, 'r');
  bytes = fread(handle, Inf, 'uint8=>uint8');
  fclose(handle);
  [blocks, ending] = varve.wire.decode(bytes);
  by_type = containers.Map();
  for b = blocks
    by_type(b.description.type) = b;
  end
  value = @(type) by_type(type).value;
  check('int64', isequal(value('int64'), [intmin('int64'); intmax('int64')]));
  check('uint64', isequal(value('uint64'), [uint64(0); intmax('uint64')]));
  check('int8', isequal(value('int8'), int8([-128; 127])));
  check('float32', isequal(value('float32'), single([1.5; -Inf])));
  check('bool', islogical(value('bool')) && isequal(value('bool'), [true; false]));
  check('enum', isa(value('enum'), 'uint16') && isequal(value('enum'), uint16([1; 0])));
  check('string', isequal(value('string'), {'plain'; ''; 'a,b'}));
  check('matrix', isequal(value('int32[]'), int32([1 2 3; 4 5 6])));
  check('ragged', isequal(value('int16[]'), {int16(1); int16(zeros(1, 0)); int16([2 3])}));
  check('string arrays', isequal(value('string[]'), {{'a', 'bc'}; cell(1, 0)}));
  check('times', isequal(blocks(1).columns.time_ns, int64([-4611686018427387904; 4611686018427387904])));
  check('end', isequal(ending.from_ns, int64(1767571200) * int64(1000000000) + int64(1)) && ending.complete);
  for length = [0 15 16 100 numel(bytes) - 8 numel(bytes) - 1]
    raises('varve:broken', @() varve.wire.decode(bytes(1:length)));
  end
  for place = [1 17 90 1000 numel(bytes) - 20 numel(bytes)]
    changed = bytes;
    changed(place) = bitxor(changed(place), uint8(64));
    raises('varve:broken', @() varve.wire.decode(changed));
  end
end

function checksums(~)
  check('the known value', varve.wire.crc32(uint8('123456789')') == uint32(3421780262));
  check('nothing', varve.wire.crc32(uint8(zeros(0, 1))) == 0);
  bytes = uint8(mod((1:300001)' * 7919, 251));
  first = varve.wire.crc32(bytes);
  bytes(150000) = bitxor(bytes(150000), uint8(1));
  check('one bit', varve.wire.crc32(bytes) ~= first);
end

function integers_of_json(~)
  text = '{"a_ns":-9223372036854775808,"b_ns":[1767571200000000001,5],"c":"1234567890123456789, \"x\"","d_ns":null}';
  out = varve.wire.from_json(uint8(text));
  check('least', out.a_ns == intmin('int64'));
  check('lists', isequal(out.b_ns, [int64(1767571200) * int64(1000000000) + int64(1); int64(5)]));
  check('texts stay', strcmp(out.c, '1234567890123456789, "x"'));
  check('null', isempty(out.d_ns));
end

function ring(~)
  url = getenv('VARVE_RING');
  if isempty(url)
    printf('skipped  VARVE_RING does not name an engine with the demonstration''s ring\n');
    return
  end
  s = varve.samples(url, {'SR:MODE', 'SR:MESSAGE', 'SR:C01:BPM1:ORBIT'}, '-1m', 'now');
  check('states', isequal(s(1).states(:)', {'Shutdown', 'Injection', 'Top-up', 'User beam'}));
  check('labels', all(ismember(s(1).label, s(1).states)) && numel(s(1).label) == numel(s(1).value));
  check('texts', any(strcmp(s(2).value, 'welcome to the simulated ring')));
  check('waveforms', size(s(3).value, 1) == numel(s(3).time_ns) && width(s(3).value) > 2);
  part = varve.samples(url, 'SR:C01:BPM1:ORBIT', '-1m', 'now', 'elements', '1:3');
  check('elements', width(part.value) == 2);
end

function out = width(value)
  % The IOC's first arrays are empty: then the arrays are cells.
  if iscell(value)
    out = max(cellfun(@numel, value));
  else
    out = size(value, 2);
  end
end

addpath(fullfile(fileparts(mfilename('fullpath')), '..'));
url = getenv('VARVE_URL');
if isempty(url)
  fprintf(stderr, 'VARVE_URL names no server\n');
  exit(2);
end
tests = {@checksums, @integers_of_json, @every_type, @samples_are_exact, @several_channels, @refusals, ...
         @lists_and_facts, @bins_are_those_of_the_samples, @tables, @ring};
failed = 0;
for n = 1:numel(tests)
  name = func2str(tests{n});
  try
    tests{n}(url);
    printf('ok       %s\n', name);
  catch caught
    failed = failed + 1;
    printf('FAILED   %s: %s\n', name, caught.message);
  end
end
printf('%d passed, %d failed\n', numel(tests) - failed, failed);
exit(failed > 0);
