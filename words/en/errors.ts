/** English: failures that a person can act on. `protocol/errors.ts` has every failure; programs and pages say these sentences. */
export const en = {
  pin_incorrect: "The PIN is wrong. Check it and try again.",
  pin_locked: "The PIN is locked. The token's issuer can unlock it.",
  pin_expired: "The PIN has expired. Change it with the program that came with the token.",
  pin_not_set: "The token has no PIN yet. Set one with the program that came with the token.",
  pin_invalid: "The PIN is too short, too long, or has characters that the token does not accept.",
  password_incorrect: "The password of the key file is wrong. Check it and try again.",
  key_file_unreadable: "The key file is damaged, or it is not a key file (.p12, .pfx).",
  key_file_unsupported:
    "The key file is encrypted in a way that D-Sign cannot read. Export the key again with AES-256.",
  token_not_present: "The token is not inserted. Insert it and try again.",
  token_removed: "The token is no longer there. If you took it out, insert it and try again.",
  token_not_initialised: "The token is empty. Its issuer has to put a certificate on it.",
  key_not_found: "The private key of this certificate is not on the token.",
  certificate_not_found: "The token with this certificate is not inserted.",
  certificate_expired: "The certificate has expired. Renew it.",
  certificate_not_yet_valid:
    "The certificate is not valid yet. Check the computer's date and time.",
  certificate_not_for_signing: "The certificate is not meant for signing. Choose another one.",
  certificate_not_for_login:
    "The certificate can sign, but is not marked for logging in. Choose another one, or tell the site.",
  certificate_malformed: "The certificate on the token cannot be read.",
  certificate_revoked: "The certificate has been revoked. Nothing was signed with it.",
  mechanism_unsupported: "The token cannot make this kind of signature.",
  algorithm_forbidden: "This kind of signature is too weak. D-Sign does not make it.",
  post_quantum_disabled:
    "Post-quantum keys (ML-DSA) are switched off in D-Sign's settings. Choose another certificate.",
  driver_not_found: "The token's driver is not installed. Install it and try again.",
  driver_wrong_architecture:
    "The token's driver was built for another kind of computer. Install the one for this computer.",
  driver_not_pkcs11: "The file configured as the token's driver is not a driver (PKCS#11 module).",
  driver_service_missing:
    "The service that the token's driver needs is not running. Restart the computer, or ask the administrator.",
  driver_sha1_only:
    "The token's driver for Windows signs with SHA-1 only, which is no longer accepted. Install the manufacturer's current driver.",
  driver_crashed:
    "The token's driver crashed. Try again. If the token is a USB token or a card, insert it again first.",
  driver_timeout:
    "The token's driver does not answer. Try again. If the token is a USB token or a card, insert it again first.",
  driver_error: "The token's driver reported an error.",
  signature_invalid: "The token made a signature that does not verify. It was not released.",
  document_malformed: "The document is damaged, or is not the kind of file it claims to be.",
  document_encrypted: "The document is encrypted. It cannot be signed without its password.",
  document_locked: "An earlier signature, or the document's author, forbids this change.",
  out_of_turn: "It is not this person's turn to sign.",
  route_unproven:
    "An earlier signature on the signing route is unproven. Confirm that you sign all the same.",
  timestamp_unavailable:
    "The timestamp could not be fetched. Try again, or tell the administrator.",
  validation_data_unavailable:
    "The revocation data needed for long-term validation could not be fetched. Try again, or sign without it.",
  internal_error: "Something went wrong in D-Sign. See its log for details.",
};

export type ErrorWords = Record<keyof typeof en, string>;
