// Options of a Sankey diagram: columns side by side, a ribbon for what goes from a value of one to a value of the next.
import type { EChartsCoreOption } from 'echarts/core';
import { colourOf, type Look } from './colours.svelte';
import type { Link, Node } from './pivot';

export function sankeyOption(
  nodes: readonly (Node & { label: string })[],
  links: readonly Link[],
  look: Look,
  pixels: number,
): EChartsCoreOption {
  const last = nodes.reduce((most, node) => Math.max(most, node.level), 0);
  const levels = new Map<number, number>();
  const longest = Math.max(
    4,
    ...nodes.filter((node) => node.level === last).map((node) => node.label.length),
  );
  const room = Math.min(longest * look.rem * 0.52, look.rem * 16, (pixels / (last + 1)) * 0.5);
  return {
    textStyle: { fontFamily: look.font },
    series: [
      {
        type: 'sankey',
        left: 4,
        right: room + look.rem,
        top: look.rem * 0.6,
        bottom: look.rem * 0.6,
        nodeWidth: look.rem,
        nodeGap: look.rem * 0.85,
        nodeAlign: 'left',
        draggable: false,
        layoutIterations: 32,
        emphasis: { focus: 'adjacency' },
        blur: { itemStyle: { opacity: 0.25 }, lineStyle: { opacity: 0.06 } },
        lineStyle: { color: 'source', opacity: 0.28, curveness: 0.5 },
        label: {
          color: look.text,
          fontFamily: look.font,
          fontSize: look.rem * 0.86,
          width: Math.min(look.rem * 16, (pixels / (last + 1)) * 0.5),
          overflow: 'truncate',
          formatter: (each: { data: { node: { label: string } } }) => each.data.node.label,
        },
        data: nodes.map((node) => {
          const place = levels.get(node.level) ?? 0;
          levels.set(node.level, place + 1);
          return {
            name: node.name,
            depth: node.level,
            value: node.value,
            node,
            itemStyle: { color: colourOf(look, place, node.other), borderWidth: 0 },
          };
        }),
        links: links.map((link) => ({ ...link, link })),
      },
    ],
  };
}
