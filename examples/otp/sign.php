<?php

/** A signature by PIN and OTP, in PHP: php sign.php USER FILE SIGNED */

declare(strict_types=1);

[, $user, $file, $signed] = $argv;
[$service, $client, $secret, $redirect] =
    array_map(fn($name) => (string) getenv($name), ['SERVICE', 'CLIENT_ID', 'CLIENT_SECRET', 'REDIRECT_URI']);

function post(string $path, string $body, array $headers): array
{
    global $service;
    $options = ['method' => 'POST', 'header' => $headers, 'content' => $body, 'ignore_errors' => true];
    $answer = file_get_contents($service . $path, false, stream_context_create(['http' => $options]));
    if (preg_match('/ 2\d\d\b/', $http_response_header[0]) !== 1) {
        throw new RuntimeException("$path: {$http_response_header[0]} $answer");
    }
    return json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
}

function oauth(string $path, array $fields): array
{
    global $client, $secret;
    $all = ['client_id' => $client, 'client_secret' => $secret, ...$fields];
    return post("/oauth2/$path", http_build_query($all), ['Content-Type: application/x-www-form-urlencoded']);
}

function csc(string $path, string $token, array $params): array
{
    return post("/csc/v2/$path", json_encode($params), ["Authorization: Bearer $token", 'Content-Type: application/json']);
}

$token = oauth('token', ['grant_type' => 'client_credentials'])['access_token'];
$credential = csc('credentials/list', $token, ['userID' => $user])['credentialIDs'][0];
$document = file_get_contents($file);
$upload = ["Authorization: Bearer $token", 'Content-Type: application/pdf'];
$hashes = post('/portal/v1/documents?name=order.pdf', $document, $upload)['hashes'];

$verifier = bin2hex(random_bytes(32));
$pushed = oauth('pushed_authorize', [
    'response_type' => 'code',
    'redirect_uri' => $redirect,
    'code_challenge' => rtrim(strtr(base64_encode(hash('sha256', $verifier, true)), '+/', '-_'), '='),
    'code_challenge_method' => 'S256',
    'description' => 'Sanction order 7',
    'authorization_details' => json_encode([[
        'type' => 'credential',
        'credentialID' => $credential,
        'documentDigests' => [['hash' => $hashes['document'], 'label' => 'order.pdf']],
        'hashAlgorithmOID' => $hashes['hashAlgorithmOID'],
    ]]),
]);
$query = http_build_query(['client_id' => $client, 'request_uri' => $pushed['request_uri']]);
echo "$service/oauth2/authorize?$query\n";
// A portal sends the browser there, and takes `code` from the address to which it comes back.
$code = trim(fgets(STDIN));

$granted = oauth('token', [
    'grant_type' => 'authorization_code',
    'code' => $code,
    'redirect_uri' => $redirect,
    'code_verifier' => $verifier,
]);
$answer = csc('signatures/signDoc', $granted['access_token'], [
    'credentialID' => $credential,
    'documents' => [['document' => base64_encode($document), 'signature_format' => 'P']],
]);
file_put_contents($signed, base64_decode($answer['DocumentWithSignature'][0]));
