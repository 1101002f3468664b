/**
 * Certificate policies along a path (RFC 5280 §6.1, as RFC 9618 changed it): a graph with one node a
 * policy and level instead of a tree, so that hostile mappings cannot make it grow exponentially.
 */
export const anyPolicy = "2.5.29.32.0";

interface Node {
  readonly policy: string;
  /** Policies that stand for this one in the next certificate. */
  expected: Set<string>;
  readonly parents: Set<Node>;
}

type Level = Map<string, Node>;

const newNode = (policy: string, parents: Iterable<Node>): Node => ({
  policy,
  expected: new Set([policy]),
  parents: new Set(parents),
});

/** The valid policies of a path so far. */
export class PolicyGraph {
  #levels: Level[] = [new Map([[anyPolicy, newNode(anyPolicy, [])]])];

  /** Whether no valid policy is left (`NULL` in the RFC). */
  get isEmpty(): boolean {
    return this.#levels.length === 0;
  }

  get #last(): Level {
    return this.#levels[this.#levels.length - 1];
  }

  /**
   * Adds the policies of the next certificate (§6.1.3 d, e).
   *
   * @param policies of the certificate; `undefined` if it has none
   * @param anyAllowed whether anyPolicy counts in this certificate
   */
  add(policies: readonly string[] | undefined, anyAllowed: boolean): void {
    if (this.isEmpty) return;
    if (!policies) {
      this.#levels = [];
      return;
    }
    const above = this.#last;
    const expecting = new Map<string, Node[]>();
    for (const node of above.values()) {
      for (const policy of node.expected) {
        const nodes = expecting.get(policy);
        if (nodes) nodes.push(node);
        else expecting.set(policy, [node]);
      }
    }
    const level: Level = new Map();
    const anyAbove = above.get(anyPolicy);
    for (const policy of policies) {
      if (policy === anyPolicy) continue;
      const parents = expecting.get(policy) ?? (anyAbove ? [anyAbove] : undefined);
      if (parents) level.set(policy, newNode(policy, parents));
    }
    if (anyAllowed && policies.includes(anyPolicy)) {
      for (const [policy, parents] of expecting) {
        if (!level.has(policy)) level.set(policy, newNode(policy, parents));
      }
    }
    this.#levels.push(level);
    this.#prune();
  }

  /**
   * Applies the policy mappings of an authority (§6.1.4 b).
   *
   * @param allowed false: mapped policies become invalid
   */
  map(mappings: readonly { issuer: string; subject: string }[], allowed: boolean): void {
    if (this.isEmpty) return;
    const level = this.#last;
    const bySource = Map.groupBy(mappings, ({ issuer }) => issuer);
    for (const [policy, targets] of bySource) {
      if (!allowed) {
        level.delete(policy);
        continue;
      }
      const any = level.get(anyPolicy);
      let node = level.get(policy);
      if (!node && any) {
        node = newNode(policy, any.parents);
        level.set(policy, node);
      }
      if (node) node.expected = new Set(targets.map(({ subject }) => subject));
    }
    this.#prune();
  }

  /** Removes nodes that lead to no policy of the last level (§6.1.3 d 3). */
  #prune(): void {
    const levels = this.#levels;
    for (let depth = levels.length - 1; depth > 0; depth--) {
      const needed = new Set<Node>();
      for (const node of levels[depth].values()) {
        for (const parent of node.parents) needed.add(parent);
      }
      for (const [policy, node] of levels[depth - 1]) {
        if (!needed.has(node)) levels[depth - 1].delete(policy);
      }
    }
    if (this.#last.size === 0) this.#levels = [];
  }

  /**
   * Policies that are valid for the whole path, in the authority's own domain (§6.1.5 g).
   *
   * @param initial policies that the caller accepts; with anyPolicy among them: all
   */
  validPolicies(initial: readonly string[]): string[] {
    if (this.isEmpty) return [];
    const valid = new Set<string>();
    for (const level of this.#levels.slice(1)) {
      for (const node of level.values()) {
        if (node.policy === anyPolicy) continue;
        for (const parent of node.parents) if (parent.policy === anyPolicy) valid.add(node.policy);
      }
    }
    const any = this.#last.has(anyPolicy);
    if (initial.includes(anyPolicy)) return [...valid, ...(any ? [anyPolicy] : [])];
    return initial.filter((policy) => any || valid.has(policy));
  }
}
