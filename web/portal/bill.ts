/** The bill of the sample treasury, and who has to sign it. */

/** As it is signed: this object in canonical JSON (RFC 8785). Amounts are strings, so that no digit can be lost. */
export const BILL = {
  bill: "2026-27/TR-0142",
  office: "Executive Engineer, Sample Division",
  payee: "Sample Builders, Kolkata",
  account: "2059-80-053-01",
  work: "Repair of the school building, second part",
  gross: "4,82,500.00",
  deductions: "24,125.00",
  net: "4,58,375.00",
  currency: "INR",
};

/** How the page writes the bill. */
export const ROWS: [label: string, value: string][] = [
  ["Bill number", BILL.bill],
  ["Office", BILL.office],
  ["Payee", BILL.payee],
  ["Head of account", BILL.account],
  ["Work", BILL.work],
  ["Gross amount", `₹ ${BILL.gross}`],
  ["Deductions", `₹ ${BILL.deductions}`],
  ["Net amount", `₹ ${BILL.net}`],
];

/** The officers, in the order in which they sign; each must be another person. */
export const ROLES = [
  { id: "maker", title: "Maker", does: "prepares the bill" },
  { id: "checker", title: "Checker", does: "checks it" },
  { id: "approver", title: "Approver", does: "approves the payment" },
] as const;

export type Role = typeof ROLES[number];
