<?php

/** A small portal in PHP: login, a signed bill, an order that two officers sign. Only PHP 8.1 with openssl. */

declare(strict_types=1);

$setting = fn(string $name, string $otherwise) => getenv($name) ?: $otherwise;
$origin = $setting('ORIGIN', 'http://localhost:3000');
$trial = $setting('TRIAL', '');
$trust = $setting('TRUST', 'root.pem');
/** PANs of the officers, in the order in which they sign orders. */
$officers = explode(',', $setting('OFFICERS', 'AAAPD0001A,AAAPR0002B'));
$examples = dirname(__DIR__);
/** What a real portal keeps in its database: the signed order, after each signature. */
$kept = $setting('KEPT', sys_get_temp_dir() . '/portal-order.pdf');

/** The portal's record, in canonical form (RFC 8785): names sorted, no blanks. */
const BILL = '{"bill":"2026-27/TR-0142","net":"4,58,375.00","payee":"Sample Builders"}';

final class Refused extends Exception
{
}

/** D-Sign checks signature, chain and revocation, and that each of these people has signed. */
function check(array $pans, string $signed, ?string $content = null): void
{
    global $setting, $trust, $trial;
    if ($setting('VERIFY_SERVICE', '') !== '') {
        askService($pans, $signed, $content);
        return;
    }
    $folder = sys_get_temp_dir() . '/portal-' . bin2hex(random_bytes(8));
    mkdir($folder, 0700);
    $file = $folder . ($content === null ? '/order.pdf' : '/signature.p7s');
    file_put_contents($file, $signed);
    $command = [$setting('DSIGN', 'dsign'), 'verify', '--trust', $trust, $trial ? '--trial' : '--online'];
    if ($content !== null) {
        file_put_contents("$folder/content", $content);
        array_push($command, '--content', "$folder/content");
    }
    try {
        foreach ($pans as $pan) {
            $process = proc_open([...$command, '--pan', $pan, $file], [1 => ['pipe', 'w']], $pipes);
            $said = stream_get_contents($pipes[1]);
            if (proc_close($process) !== 0) {
                throw new Refused("The signature does not count. $said");
            }
        }
    } finally {
        array_map('unlink', glob("$folder/*"));
        rmdir($folder);
    }
}

/** The same by `dsign verify-service`, at an address like http://127.0.0.1:7797. */
function askService(array $pans, string $signed, ?string $content): void
{
    global $setting, $trial;
    foreach ($pans as $pan) {
        $fields = [
            'trust' => 'portal', // its name in the service's configuration
            'revocation' => $trial ? 'if-available' : 'require',
            'pan' => hash('sha256', $pan),
            'file' => $signed,
            ...$content === null ? [] : ['content' => $content],
        ];
        $boundary = bin2hex(random_bytes(16));
        $body = '';
        foreach ($fields as $name => $value) {
            $file = in_array($name, ['file', 'content'], true) ? "; filename=\"$name\"" : '';
            $body .= "--$boundary\r\nContent-Disposition: form-data; name=\"$name\"$file\r\n\r\n$value\r\n";
        }
        $http = [
            'method' => 'POST',
            'header' => "Content-Type: multipart/form-data; boundary=$boundary",
            'content' => "$body--$boundary--\r\n",
            'ignore_errors' => true,
        ];
        $context = stream_context_create(['http' => $http]);
        $answer = file_get_contents($setting('VERIFY_SERVICE', '') . '/v1/verify', false, $context);
        if ($answer === false || preg_match('/ 5\d\d\b/', $http_response_header[0])) {
            throw new RuntimeException('The verification service cannot answer.'); // ask again later
        }
        if ((json_decode($answer, true)['ok'] ?? false) !== true) {
            throw new Refused('The signature does not count.');
        }
    }
}

/** A Web eID token: who has signed this session's nonce for this origin. Returns the PAN. */
function login(array $form): string
{
    global $origin, $trust, $officers;
    $nonce = $_SESSION['nonce'] ?? null;
    unset($_SESSION['nonce']); // once
    $pem = "-----BEGIN CERTIFICATE-----\n" . chunk_split($form['certificate'], 64, "\n") . "-----END CERTIFICATE-----\n";
    $certificate = openssl_x509_read($pem) ?: throw new Refused('Not a certificate.');
    ['subject' => $subject, 'validFrom_time_t' => $from, 'validTo_time_t' => $to] = openssl_x509_parse($certificate);
    // Certificates of real people have a chain and revocation: take a Web eID library there.
    $root = openssl_pkey_get_public(file_get_contents($trust));
    if ($from > time() || $to < time() || openssl_x509_verify($certificate, $root) !== 1) {
        throw new Refused('Not a trusted certificate.');
    }
    $message = hash('sha256', $origin, true) . hash('sha256', $nonce ?? '', true);
    $signature = der(base64_decode($form['signature']));
    $isSigned = $nonce !== null && $form['algorithm'] === 'ES256'
        && openssl_verify($message, $signature, openssl_pkey_get_public($certificate), OPENSSL_ALGO_SHA256) === 1;
    if (!$isSigned) {
        throw new Refused('The login was not signed for this session.');
    }
    foreach ($officers as $pan) {
        if (hash_equals($subject['serialNumber'] ?? '', hash('sha256', $pan))) {
            return $pan;
        }
    }
    throw new Refused('Nobody of this office.');
}

/** An ECDSA signature r || s as OpenSSL wants it (RFC 3279). */
function der(string $raw): string
{
    $numbers = '';
    foreach (str_split($raw, max(1, intdiv(strlen($raw), 2))) as $part) {
        $number = ltrim($part, "\0");
        if ($number === '' || ord($number[0]) & 0x80) {
            $number = "\0$number";
        }
        $numbers .= "\x02" . chr(strlen($number)) . $number;
    }
    return "\x30" . chr(strlen($numbers)) . $numbers;
}

function route(string $request, string $body): array
{
    global $setting, $examples, $trial, $officers, $kept;
    $plain = 'text/plain; charset=utf-8';
    $pan = $_SESSION['pan'] ?? null;
    switch ($request) {
        case 'GET /':
            return ['text/html', file_get_contents("$examples/page/index.html")];
        case 'GET /page.js':
            return ['text/javascript', file_get_contents("$examples/page/page.js")];
        case 'GET /client.js':
            return ['text/javascript', file_get_contents($setting('SDK', "$examples/../dist/web/client.js"))];
        case 'GET /config':
            return ['application/json', $trial ? json_encode(['trial' => (int) $trial]) : '{}'];
        case 'GET /nonce':
            return [$plain, $_SESSION['nonce'] = base64_encode(random_bytes(33))];
        case 'POST /login':
            session_regenerate_id(true); // somebody may have planted the browser's
            parse_str($body, $form);
            $_SESSION['pan'] = login($form);
            return [$plain, "Logged in: {$_SESSION['pan']}"];
        case 'GET /bill':
            return ['application/json', BILL];
        case 'POST /bill':
            $pan ?? throw new Refused('Log in first.');
            check([$pan], base64_decode($body), BILL);
            return [$plain, "The bill is signed by $pan."];
        case 'GET /order':
            return ['application/pdf', file_get_contents(is_file($kept) ? $kept : "$examples/order.pdf")];
        case 'PUT /order':
            $turn = fopen("$kept.turn", 'c+'); // how many have signed; held while one more is checked
            flock($turn, LOCK_EX);
            $signatures = (int) stream_get_contents($turn);
            $order = file_get_contents(is_file($kept) ? $kept : "$examples/order.pdf");
            if ($pan === null || $pan !== ($officers[$signatures] ?? null)) {
                throw new Refused('It is not your turn.');
            }
            if (!str_starts_with($body, $order)) {
                throw new Refused('This is another order.');
            }
            check(array_slice($officers, 0, $signatures + 1), $body);
            file_put_contents($kept, $body, LOCK_EX);
            rewind($turn);
            fwrite($turn, (string) ($signatures + 1));
            return [$plain, sprintf('The order has %d of %d signatures.', $signatures + 1, count($officers))];
    }
    throw new Refused('There is nothing here.');
}

session_start([
    'use_strict_mode' => true,
    'cookie_httponly' => true,
    'cookie_samesite' => 'Strict',
    'cookie_secure' => str_starts_with($origin, 'https:'),
]);
try {
    $path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
    [$type, $answer] = route("{$_SERVER['REQUEST_METHOD']} $path", file_get_contents('php://input'));
} catch (Refused $refused) {
    http_response_code(422);
    [$type, $answer] = ['text/plain; charset=utf-8', $refused->getMessage()];
}
header("content-type: $type");
echo $answer;
