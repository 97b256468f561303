// What of ECharts is used, and nothing else.
import { LineChart } from 'echarts/charts';
import { DataZoomComponent, GridComponent, TooltipComponent } from 'echarts/components';
import { init, use as include, type ECharts } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

include([LineChart, GridComponent, TooltipComponent, DataZoomComponent, CanvasRenderer]);

export { init, type ECharts };
