import assert from "node:assert/strict";
import { sddlTrust } from "./sddl.ts";

Deno.test("sddlTrust: administrators' files, strangers' files, files that others can change", () => {
  const read = "(A;;0x1200a9;;;BU)(A;ID;FR;;;WD)";
  const full = "(A;ID;FA;;;SY)(A;ID;FA;;;BA)";
  const cases: Record<string, string> = {
    [`O:BAG:SYD:PAI${full}${read}`]: "administrator",
    [`O:SYG:SYD:AI${full}`]: "administrator",
    [`O:S-1-5-21-1-2-3-500G:SYD:${full}S:AI(AU;SA;FA;;;WD)`]: "administrator",
    [`O:BAG:SYD:${full}(A;OICIIO;GA;;;CO)(D;;FW;;;BU)`]: "administrator",
    [`O:S-1-5-21-1-2-3-1001G:BUD:${full}`]: "foreign",
    [`O:BUG:BAD:${full}`]: "foreign",
    ["D:" + full]: "foreign",
    "": "foreign",
    [`O:BAG:SYD:${full}(A;;FA;;;BU)`]: "writable",
    [`O:BAG:SYD:${full}(A;;0x1301bf;;;AU)`]: "writable",
    [`O:BAG:SYD:${full}(A;;WDRC;;;S-1-5-21-1-2-3-1001)`]: "writable",
    [`O:BAG:SYD:${full}(A;;0x100116;;;BU)`]: "writable",
    "O:BAG:SY": "writable",
    "O:BAG:SYD:NO_ACCESS_CONTROL": "writable",
    "O:BAG:SYD:(A;;FA;;;BA": "writable",
  };
  for (const [sddl, trust] of Object.entries(cases)) assert.equal(sddlTrust(sddl), trust, sddl);
});
