// The parts of ECharts that are used, and nothing else. Imported only when a chart is drawn.
import { BarChart, CustomChart, LineChart, SankeyChart } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

use([BarChart, CanvasRenderer, CustomChart, GridComponent, LineChart, SankeyChart]);

export { init };
