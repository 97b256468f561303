// What of ECharts is used, and nothing else.
import { CustomChart, LineChart } from 'echarts/charts';
import { DataZoomComponent, GridComponent, LegendComponent, TitleComponent, TooltipComponent } from 'echarts/components';
import { init, use as include, type ECharts } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

include([LineChart, CustomChart, GridComponent, TooltipComponent, DataZoomComponent, LegendComponent, TitleComponent, CanvasRenderer]);

export { init, type ECharts };
