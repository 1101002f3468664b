/** English: the entry in the menu of programs. The other languages follow this table. */
export const en = {
  GenericName: "Signing program",
  Comment: "Signs documents with your token when a portal asks and you agree",
};

export type DesktopWords = Record<keyof typeof en, string>;
