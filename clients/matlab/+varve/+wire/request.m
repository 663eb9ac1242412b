function bytes = request(url, path, parameters)
% Sends one request and gives the bytes of its answer as an uint8 column.
%
% Parameters travel as a form in a POST, because names of channels may hold anything. MATLAB's own HTTP client is
% used where it exists, else Octave's urlwrite into a temporary file, as its text functions may bend bytes.
  address = [regexprep(char(url), '/+$', ''), '/api/v1/', path];
  pairs = cell(1, numel(parameters) / 2);
  for n = 1:numel(pairs)
    pairs{n} = [percent(parameters{2 * n - 1}), '=', percent(parameters{2 * n})];
  end
  form = strjoin(pairs, '&');
  if exist('OCTAVE_VERSION', 'builtin')
    bytes = in_octave(address, form);
  else
    bytes = in_matlab(address, form);
  end
end

function bytes = in_matlab(address, form)
  field = matlab.net.http.HeaderField('Content-Type', 'application/x-www-form-urlencoded');
  body = matlab.net.http.MessageBody();
  body.Payload = uint8(form);
  message = matlab.net.http.RequestMessage('POST', field, body);
  options = matlab.net.http.HTTPOptions('ConvertResponse', false, 'SavePayload', true, 'ResponseTimeout', 60);
  answer = message.send(address, options);
  bytes = reshape(uint8(answer.Body.Payload), [], 1);
  if double(answer.StatusCode) ~= 200
    raise(bytes, double(answer.StatusCode));
  end
end

function bytes = in_octave(address, form)
  file = tempname();
  cleaner = onCleanup(@() remove(file));
  % A form that is already encoded goes into the address: urlwrite would encode it its own way.
  if numel(form) < 6000
    [~, ok, message] = urlwrite([address, '?', form], file);
  else
    ok = false;
    message = 'the request is too long for urlwrite';
  end
  if ~ok
    % urlwrite keeps the body of a refusal to itself; curl tells it, and takes requests of any length.
    body = tempname();
    body_cleaner = onCleanup(@() remove(body));
    write(body, form);
    [failed, status] = system(sprintf('curl --silent --max-time 60 --output "%s" --write-out "%%{http_code}" --data-binary "@%s" "%s"', file, body, address));
    if failed
      error('varve:unreachable', '%s does not answer: %s', address, message);
    end
    bytes = read(file);
    if str2double(status) ~= 200
      raise(bytes, str2double(status));
    end
    return
  end
  bytes = read(file);
end

function bytes = read(file)
  handle = fopen(file, 'r');
  if handle < 0
    bytes = uint8(zeros(0, 1));
    return
  end
  bytes = fread(handle, Inf, 'uint8=>uint8');
  fclose(handle);
end

function write(file, text)
  handle = fopen(file, 'w');
  fwrite(handle, uint8(text));
  fclose(handle);
end

function remove(file)
  if exist(file, 'file')
    delete(file);
  end
end

function raise(bytes, status)
  code = 'refused';
  text = sprintf('HTTP %d', status);
  try
    answer = varve.wire.from_json(bytes);
    code = answer.error.code;
    text = answer.error.message;
  catch
    text = sprintf('HTTP %d: %s', status, char(bytes(1:min(end, 200))'));
  end
  error(['varve:', code], '%s', text);
end

function text = percent(value)
  if isnumeric(value) || islogical(value)
    value = sprintf('%d', value);
  end
  bytes = double(unicode2native(char(value), 'UTF-8'));
  text = '';
  plain = (bytes >= 48 & bytes <= 57) | (bytes >= 65 & bytes <= 90) | (bytes >= 97 & bytes <= 122);
  for n = 1:numel(bytes)
    if plain(n)
      text = [text, char(bytes(n))]; %#ok<AGROW>
    else
      text = [text, sprintf('%%%02X', bytes(n))]; %#ok<AGROW>
    end
  end
end
