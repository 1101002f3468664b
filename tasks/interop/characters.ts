import { CONTEXTS, differences } from "../../tests/fixtures/xml_characters.ts";

/** Every code point in every place of a document: well-formed or not, and the canonical form, as libxml2 has it. */
export function characters(tell: (line: string) => void, fault: (line: string) => void): void {
  const all = Array.from({ length: 0x110000 }, (_, code) => code)
    .filter((code) => code < 0xd800 || code > 0xdfff);
  for (const [context, wrap] of Object.entries(CONTEXTS)) {
    const found = differences(wrap, all);
    for (const document of found.slice(0, 5)) fault(`${context}: ${JSON.stringify(document)}`);
    tell(`characters, ${context}: ${all.length} tried, ${found.length} differ from libxml2`);
  }
}
