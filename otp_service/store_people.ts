/** Statements about people and what they sign with. */
import { FRESH } from "./authorize.ts";
import type { Row, Value } from "./database.ts";
import { OTHER, TamperedError } from "./row_seal.ts";
import type { Credential, Person, PersonRow } from "./rows.ts";
import { SealedTx } from "./store_tx.ts";

export class PeopleTx extends SealedTx {
  async persons(): Promise<PersonRow[]> {
    const rows = await this.query("SELECT * FROM persons ORDER BY id");
    return rows.map((row) => this.personOf(row, row.id as string));
  }

  async person(id: string): Promise<PersonRow | null> {
    const [row] = await this.query(`SELECT * FROM persons WHERE id = $1${this.lock}`, id);
    return row ? this.personOf(row, id) : this.missing("persons", id);
  }

  protected personOf(row: Row, id: string): PersonRow {
    this.verify("persons", id, row, contentOf(row));
    const { data, guard, pin, locked, epoch } = row;
    return {
      person: JSON.parse(data as string),
      guard: JSON.parse(guard as string),
      pin: pin as string | null,
      locked: locked as string | null,
      epoch: epoch as number,
    };
  }

  /** False where there is such a person already. */
  async addPerson(person: Person, locked: string | null = null): Promise<boolean> {
    const { id } = person;
    if (await this.person(id)) return false;
    const row = rowOf({ person, guard: FRESH, pin: null, locked, epoch: 1 });
    const { version, mac } = this.next("persons", id, contentOf(row));
    const added = await this.query(
      `INSERT INTO persons (id, data, guard, pin, locked, epoch, version, mac)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id`,
      id,
      ...contentOf(row),
      version,
      mac,
    );
    if (added.length === 0) this.gone("persons", id, { version, mac });
    return added.length > 0;
  }

  /** Writes a person that was read in this transaction. */
  savePerson(person: PersonRow): void {
    const { id } = person.person;
    const content = contentOf(rowOf(person));
    const { before, version, mac } = this.next("persons", id, content);
    this.update(
      `UPDATE persons SET data = $2, guard = $3, pin = $4, locked = $5, epoch = $6, version = $7,
       mac = $8 WHERE id = $1 AND version = $9`,
      id,
      ...content,
      version,
      mac,
      before,
    );
  }

  addCredential(credential: Credential): void {
    const { id, person } = credential;
    const content = [person, JSON.stringify(credential)];
    const { version, mac } = this.next("credentials", id, content);
    this.write(
      "INSERT INTO credentials (id, person, data, version, mac) VALUES ($1, $2, $3, $4, $5)",
      id,
      ...content,
      version,
      mac,
    );
  }

  async credential(id: string): Promise<Credential | null> {
    const [row] = await this.query("SELECT * FROM credentials WHERE id = $1", id);
    return row ? this.#credential(row, id) : this.missing("credentials", id);
  }

  async credentialsOf(person: string): Promise<Credential[]> {
    const rows = await this.query(
      "SELECT * FROM credentials WHERE person = $1 ORDER BY id",
      person,
    );
    if (rows.some((row) => row.person !== person)) throw new TamperedError(OTHER);
    return rows.map((row) => this.#credential(row, row.id as string));
  }

  #credential(row: Row, id: string): Credential {
    this.verify("credentials", id, row, [row.person, row.data]);
    return JSON.parse(row.data as string);
  }
}

const rowOf = ({ person, guard, pin, locked, epoch }: PersonRow): Row => ({
  data: JSON.stringify(person),
  guard: JSON.stringify(guard),
  pin,
  locked,
  epoch,
});

const contentOf = ({ data, guard, pin, locked, epoch }: Row): Value[] => [
  data,
  guard,
  pin,
  locked,
  epoch,
];
