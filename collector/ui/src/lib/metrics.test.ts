import { describe, expect, it } from 'vitest';
import { parseMetrics } from './metrics';

// The example of Prometheus' exposition format, shortened.
const TEXT = `# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9

metric_without_timestamp_and_labels 12.47

# HELP http_request_duration_seconds A histogram of the request duration.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320
`;

describe('parseMetrics', () => {
  const found = parseMetrics(TEXT);

  it('has each family once with help and type', () => {
    expect(found.map((family) => [family.name, family.type])).toEqual([
      ['http_requests_total', 'counter'],
      ['msdos_file_access_time_seconds', 'untyped'],
      ['metric_without_timestamp_and_labels', 'untyped'],
      ['http_request_duration_seconds', 'histogram'],
    ]);
    expect(found[0]?.help).toBe('The total number of HTTP requests.');
  });

  it('keeps values as they are written', () => {
    expect(found[0]?.samples).toEqual([
      { labels: 'method="post",code="200"', value: '1027' },
      { labels: 'method="post",code="400"', value: '3' },
    ]);
    expect(found[2]?.samples).toEqual([{ labels: '', value: '12.47' }]);
    expect(found[3]?.samples.map((sample) => sample.labels)).toEqual([
      '_bucketle="0.05"',
      '_bucketle="+Inf"',
      '_sum',
      '_count',
    ]);
  });

  it('gets over what is no metric', () => {
    expect(parseMetrics('')).toEqual([]);
    expect(parseMetrics('<html>\n# nothing\n')).toEqual([]);
  });
});
