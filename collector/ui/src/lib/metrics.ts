// Prometheus' text format (version 0.0.4) as a list: each family with its help, its type, and what it is at now.

export interface Sample {
  labels: string;
  value: string;
}

export interface Family {
  name: string;
  help: string;
  type: string;
  samples: Sample[];
}

/** Families in the order they come. Samples of histograms and summaries belong to the family that their name begins with. */
export function parseMetrics(text: string): Family[] {
  const found = new Map<string, Family>();
  const family = (name: string): Family => {
    const known = found.get(name) ?? { name, help: '', type: 'untyped', samples: [] };
    found.set(name, known);
    return known;
  };
  for (const line of text.split('\n')) {
    const told = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line);
    if (told !== null) {
      const [, kind, name = '', rest = ''] = told;
      if (kind === 'TYPE') family(name).type = rest.trim();
      else family(name).help = rest.replace(/\\(n|\\)/g, (_, c: string) => (c === 'n' ? '\n' : '\\'));
      continue;
    }
    const sample = /^([A-Za-z_:][\w:]*)(\{.*\})?\s+(\S+)/.exec(line);
    if (sample === null) continue;
    const [, name = '', labels = '', value = ''] = sample;
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const of = found.has(name) ? name : found.has(base) ? base : name;
    const suffix = name === of ? '' : name.slice(of.length);
    family(of).samples.push({ labels: suffix + labels.replace(/^\{|\}$/g, ''), value });
  }
  return [...found.values()];
}
