/** Longer ones are made for few keys: they are not worth a template each. */
const LONGEST_TEMPLATE = 1_024;
const TEMPLATES = new Map<number, readonly number[]>();

/** An array of zeros that the engine keeps as doubles from the start: a copy of one that has held a fraction. */
export function doubleArray(length: number): number[] {
  let template = TEMPLATES.get(length);
  if (template === undefined) {
    const fresh = Array.from({ length }, () => 0.5).fill(0);
    if (length > LONGEST_TEMPLATE) return fresh;
    TEMPLATES.set(length, fresh);
    template = fresh;
  }
  return template.slice();
}
