/** English: the messages of the PIN/OTP service, the declaration that people consent to, and the page before an eSign service. The other languages follow this table; code fills in `{name}`. */
export const en = {
  message_otp: "OTP {otp} to sign for {client}",
  message_purpose: "Purpose",
  message_document: "Document",
  message_more: "and {count} more, {all} signatures in all",
  message_hash: "Hash begins",
  message_unnamed: "the portal did not say which document",
  message_warn:
    "Give it to nobody; type it only on the page where you typed your PIN. Valid for 10 minutes. If you did not ask for it, tell your office.",
  enrol_subject: "Create your signing PIN",
  enrol:
    "{name}, please create the PIN with which you will sign: {link}\nThe link works once, for {hours} hours. Send it to nobody.",
  change_subject: "OTP {otp} to change your signing PIN",
  change:
    "Somebody who knows your PIN wants to change it. If it was not you, give this to nobody and tell your office at once. Valid for 10 minutes.",
  wrong_subject: "Wrong answers in your name",
  wrong_answers:
    "{count} wrong answers in a row (PIN or OTP) were given for signatures in your name. Each further one makes the wait longer; after {most} your PIN is locked. If it was not you, somebody may know your PIN: change it, and tell your office at once.",
  wrong_sign_ins:
    "{count} wrong PINs in a row were typed at the login with your user name. Each further one makes the wait longer; after {most} this login is closed. You can still sign. If it was not you, tell your office.",
  locked_answers_subject: "Your signing PIN is locked",
  locked_answers:
    "{count} wrong answers in a row were given in your name, so your signing PIN is locked. If it was not you, tell your office at once. The administrator can unlock it after checking who you are.",
  locked_sign_ins_subject: "Your login is closed",
  locked_sign_ins:
    "{count} wrong PINs in a row were typed at the login with your user name, so it is closed. It opens again as soon as you sign something with PIN and OTP. If it was not you, tell your office.",

  consent:
    "I, {name}, have read what is shown above. By giving my PIN and the OTP I sign what is named above (documents: {count}) for the purpose “{purpose}” with a departmental PIN/OTP signature of {organization}.",
  consent_blind:
    "I, {name}, have read what is shown above. By giving my PIN and the OTP I sign what is named above (documents: {count}, of which {blind} blind, by the hash alone) for the purpose “{purpose}” with a departmental PIN/OTP signature of {organization}.",

  esign_title: "Sign by eSign",
  esign_language: "Language",
  esign_ask: "Do you want to sign this by eSign?",
  esign_kind: "ESP eSign",
  esign_explain:
    "The eSign service at {host} asks who you are, and signs with a certificate that is made for this signature alone. It is not a departmental PIN/OTP signature and not a signature with a DSC token.",
  esign_asked_by: "Who is asking",
  esign_purpose: "Purpose",
  esign_document: "What you sign",
  esign_show: "Read the document (PDF)",
  esign_hash: "Hash (SHA-256)",
  esign_until: "Sign before {time}. Nothing is signed until the eSign service has asked you.",
  esign_go: "Go on to the eSign service",
  esign_reject: "Do not sign",
  esign_over: "There is nothing to sign here. The link was used, or is too old.",
  esign_refused_over: "This eSign transaction is over. Start again in the portal.",
  esign_refused: "This answer was not accepted, and it changed nothing. Start again in the portal.",
};

export type ServiceWords = Record<keyof typeof en, string>;
