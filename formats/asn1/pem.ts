/** PEM (RFC 7468 §2): DER under a label, in lines of 64 letters of Base64. */
export function pem(label: string, der: Uint8Array): string {
  const lines = der.toBase64().replace(/.{1,64}/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}
