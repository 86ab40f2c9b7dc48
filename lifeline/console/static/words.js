// Every word of the page in both languages; alarms bring their own sentences.
const WORDS = {
  live: ["live", "实时"], simulation: ["simulation", "仿真"], replay: ["replay", "回放"],
  banner: ["演练 · SIMULATION — these are not real readings; nobody outside is notified", "演练 · 仿真 — 非真实数据，不对外通知"],
  warnings: {
    name: ["official warnings", "官方预警"], official: ["Official warning:", "官方预警："], exercise: ["EXERCISE, official warning:", "演练 · 官方预警："],
    times: ["sent {0}, until {1}", "{0} 发布，至 {1}"],
  },
  dataAge: ["data {0} old", "数据更新于 {0}前"], noData: ["no data yet", "尚无数据"],
  notApproved: ["default limits, not approved for this site", "默认限值，未经本地批准"],
  approved: ["limits approved for this site", "限值已经本地批准"],
  blind: ["BLIND for {0}: readings are not being judged", "监测中断 {0}：数据未经研判"],
  unwatched: ["no probe watches the chain itself", "未配置系统自检探针"],
  blindTimes: ["not judged {0} – {1}", "监测中断时段 {0} 至 {1}"],
  newRows: ["{0} new – show (n)", "{0} 条新报警，按 n 显示"],
  operator: ["operator", "值班员"], askOperator: ["Write your name first: an acknowledgement carries it.", "请先填写姓名，确认记录需要署名。"],
  unacked: ["UNACKNOWLEDGED", "未确认"], acked: ["ACKNOWLEDGED", "已确认"], none: ["none", "无"], since: ["for", "历时"],
  nothing: ["Nothing selected. j / k walk through the alarms, / finds any asset, a click on the map opens one.", "未选中报警。按 j / k 逐条查看，按 / 查找设施，也可点击地图上的设施。"],
  quiet: ["No alarm stands. The city is quiet.", "当前无报警。"], quietHere: ["No alarm stands here.", "该专项当前无报警。"],
  only: ["only {0} · Esc shows all", "仅显示{0} · 按 Esc 显示全部"],
  ack: ["Acknowledge (a)", "确认 (a)"], ackedBy: ["acknowledged by {0}, {1}", "{0} 于 {1} 确认"],
  ackedWord: ["acknowledged", "已确认"], comment: ["comment (optional)", "备注（可选）"], commentWanted: ["comment (required)", "备注（必填）"], reset: ["Reset after re-test", "复测后复位"],
  resetAsk: ["What did the re-test on site show?", "现场复测结果如何？"],
  resetSent: ["Reset ordered.", "复位指令已下达。"],
  done: ["Acknowledged: {0}", "已确认：{0}"], undo: ["Undo (z) {0} s", "撤销 (z) {0} 秒"],
  undone: ["Acknowledgement taken back.", "已撤销确认。"],
  lost: ["CONNECTION LOST for {0} – what you see is old", "连接已中断 {0}，画面不是最新"],
  behind: ["catching up", "正在补读积压数据"],
  by_design: ["explained by {0}", "已由 {0} 解释"], out_of_service: ["out of service: {0}", "检修停用：{0}"], shelved: ["shelved: {0}", "已搁置：{0}"],
  unconfirmed: ["unconfirmed", "待证实"], returned: ["returned", "已恢复"], late: ["late data", "迟到数据"],
  over: ["over", "已结束"], overRange: ["beyond range", "超量程"],
  safety: ["Not SIL-rated. Supplements and never replaces local gas alarms, interlocks and barriers. Levels are monitoring alarm levels (监测报警等级), not public warnings.",
    "未经 SIL 认证。仅作补充，绝不替代就地燃气报警器、联锁和安全屏障。等级为监测报警等级，不是对公众的预警信号。"],
  more: ["More alarms than this page shows.", "报警过多，未全部显示。"],
  limit: ["limit", "限值"], source: { clause: ["clause", "标准"], vendor: ["vendor", "厂家"], estimate: ["estimate", "估计值"] },
  onset: ["onset", "起始"], raised: ["raised", "报警"], suspect: ["suspect", "可疑"], lateMark: ["late", "迟到"], beyondMark: ["beyond range", "超量程"],
  measured: ["measured", "测于"], received: ["received", "收于"], noTrend: ["No trend: this alarm is about a device that is silent.", "设备失联，无趋势可显示。"],
  emptyTrend: ["No readings in this range.", "该时段无数据。"], system: ["system", "系统"],
  now: ["now", "当前"], ago: ["{0} ago", "{0}前"], steady: ["steady over 10 min", "近 10 分钟平稳"],
  rising: ["rising {0} per 10 min", "每 10 分钟上升 {0}"], falling: ["falling {0} per 10 min", "每 10 分钟下降 {0}"],
  aboveLimit: ["{0} above the {1} limit {2} ({3})", "超过{1}色限值 {2} 达 {0}（{3}）"],
  belowLimit: ["{0} below the {1} limit {2} ({3})", "低于{1}色限值 {2} 达 {0}（{3}）"],
  toLimit: ["{0} to the {1} limit {2} ({3})", "距{1}色限值 {2} 尚有 {0}（{3}）"],
  noLimits: ["no limit declared", "未设限值"],
  overRangeUp: ["above range", "超上限"], under: ["below range", "超下限"],
  todo: ["What to do", "处置"], todoDefault: ["default advice, not approved for this site", "默认提示，未经本地批准"], runbook: ["runbook", "预案"],
  trial: ["rule on trial", "规则试运行"], limitsFrom: ["limits from", "限值依据"], falsePositives: ["known to alarm without danger", "已知误报原因"],
  exposed: ["about {0} people nearby", "影响约 {0} 人"],
  beside: ["Neighbours (grey)", "邻近测点（灰线）"], sameAsset: ["same asset", "同一设施"], none_near: ["none within 600 m", "600 米内无同类测点"],
  history: ["History", "经过"], channels: ["Measured here", "监测项目"], openAlarms: ["Open alarms", "未结束报警"],
  back: ["List", "返回列表"], onMap: ["Map (m)", "地图 (m)"], allMap: ["whole city", "全市"],
  find: ["Find an asset or a sensor", "查找设施或测点"], nothingFound: ["Nothing found.", "未找到。"],
  noSuchAlarm: ["Alarm {0} is over; its history is in Grafana and in `lifeline alarms list --all`.", "报警 {0} 已结束，历史可在 Grafana 或用 lifeline alarms list --all 查看。"],
  newAlarm: ["New alarm, {0}: {1}", "新报警，{0}：{1}"], legendPipes: ["mains", "管线"],
  counts: ["open alarms by lifeline and level", "各专项各等级报警数"], list: ["alarms", "报警列表"], map: ["map of the city: arrows move it, + and − zoom, Enter opens what is in its middle", "城市地图：方向键移动，+ − 缩放，Enter 打开中央设施"], detail: ["selected", "所选报警"],
  cameras: ["Cameras", "摄像头"], joined: ["Joined to it, and near", "相连与邻近设施"], byNetwork: ["joined by {0}", "经 {0} 相连"], nextSection: ["of the same line", "同一线路"], near: ["near", "邻近"],
  owner: ["owner {0}", "权属 {0}"], noOwner: ["owner unknown", "权属未登记"], noPlace: ["place unknown", "位置未登记"],
  quality: { calibrating: ["OUT OF SERVICE, calibrating", "停用（标定中）"], suspect: ["suspect", "可疑"], old: ["not heard of in time", "逾期未报"], none: ["no reading held", "无读数"], planned: ["planned", "规划"], installed: ["installed, not accepted", "已安装未验收"], accepted: ["accepted, not in service", "已验收未投用"], retired: ["retired", "退役"] },
  oldData: ["DATA OLD: nothing has come for {0}; what you see may no longer be so", "数据陈旧：已 {0}未收到数据，画面可能不符实际"],
  neverData: ["NO DATA: nothing has come yet; a quiet screen says nothing", "无数据：尚未收到任何数据，画面无报警不等于正常"],
  unackedWord: ["UNACKNOWLEDGED", "未确认"], heldWord: ["held", "已抑制"],
  wall: { name: ["the worst alarms", "最严重的报警"], worst: ["{0} UNACKNOWLEDGED of {1} open", "未确认 {0} 条，共 {1} 条"], more: ["and {0} more", "另有 {0} 条"] },
  sound: {
    on: ["sound on", "声音开"], sounds: ["♪ red sounds · q mutes", "♪ 红色报警鸣响 · 按 q 静音"], muted: ["MUTED · q", "已静音 · 按 q 恢复"], waits: ["SOUND WAITS for a click or key", "声音待启用：请点击或按键"],
    none: ["NO SOUND in this browser", "本浏览器无声音"], key: ["q: sound of unacknowledged red, on or off, in this browser", "q：红色未确认报警的声音开关（仅本浏览器）"],
    wall: ["NO SOUND: this browser lets a page sound only after a click or key here, or started with --autoplay-policy=no-user-gesture-required", "无声音：浏览器须点击或按键后才允许发声，或以 --autoplay-policy=no-user-gesture-required 启动"],
  },
  gathered: ["so many assets", "处设施"],
  kinds: { gas_main: ["gas main", "燃气管"], water_main: ["water main", "供水管"], drain_main: ["drain", "排水管"], heat_main: ["heat main", "供热管"] },
  events: {
    RAISED: ["raised, {0}", "报警，{0}"], ESCALATED: ["worse, {0}", "升级为{0}"], LOWERED: ["lowered to {0}", "降为{0}"], CLEARED: ["returned to normal", "恢复正常"],
    CONFIRMED: ["confirmed, {0}", "证实，{0}"], ACKED: ["acknowledged", "确认"], ACK_REVOKED: ["acknowledgement taken back", "撤销确认"], RESET: ["reset after re-test", "复测复位"],
    ENDED: ["over", "结束"], RULE_CHANGED: ["ended by a change of its rule", "规则变更，报警结束"], LATE_FINDING: ["found in late data, {0}", "迟到数据中发现，{0}"],
    SHELVED: ["shelved", "搁置"], SHELVE_ASKED: ["asked to shelve it", "申请搁置"], UNSHELVED: ["taken from its shelf", "取消搁置"], REALARMED: ["stands still: calls again", "持续未消，再次报警"],
    COMMENTED: ["note", "备注"], ASSIGNED: ["assigned", "指派"], CLASSIFIED: ["judged", "研判"], CALLED: ["somebody was called", "已呼叫"],
    SUPPRESSED: ["explained by another alarm", "由其他报警解释"], UNSUPPRESSED: ["calls for itself again", "解除抑制"], OUT_OF_SERVICE: ["out of service", "检修停用"], IN_SERVICE: ["in service again", "恢复服务"],
  },
  flood: ["ALARM FLOOD since {0}: {1} alarms; only red goes out one by one", "报警泛滥，自 {0} 起 {1} 条；仅红色逐条通知"],
  care: {
    open: ["More (s)", "更多 (s)"], shelve: ["Shelve", "搁置"], reason: ["why it need not call", "搁置原因"], long: ["for", "时长"],
    two: ["Red is shelved by two persons: this asks the second one.", "红色报警须两人搁置：提交后等待第二人确认。"],
    asked: ["{0} asks to shelve it; a second person decides", "{0} 申请搁置，待第二人确认"],
    shelvedBy: ["Shelved by {0} until {1}: {2}", "{0} 已搁置至 {1}：{2}"], shelved: ["Shelving ordered.", "已提交搁置。"],
    unshelve: ["Unshelve", "取消搁置"], unshelved: ["It calls again.", "已取消搁置。"],
    note: ["Note", "备注"], write: ["Write", "写入"], noted: ["Note written.", "备注已写入。"],
    hand: ["Who looks after it", "负责人"], to: ["name; empty: nobody", "姓名，留空为无人"], give: ["Assign", "指派"], given: ["Assigned.", "已指派。"],
    was: ["What it was", "研判结论"], verdict: ["true or false", "真伪"], cause: ["cause", "原因"], say: ["Record", "记录"], said: ["Recorded.", "已记录。"],
    first: ["FIRST OUT of the flood", "首发报警"], stands: ["STALE: standing for more than a day", "陈旧：持续超过一天"], unheard: ["NO NEW DATA: as last known", "无新数据，状态为最后已知"],
    chatters: ["chattering", "频繁抖动"], with: ["with {0}", "负责人 {0}"], again: ["came again {0} ×", "重复报警 {0} 次"],
  },
  incident: {
    one: ["Incident", "事件"], title: ["incidents", "事件列表"], showAlarms: ["Alarms {0}", "报警 {0}"], showIncidents: ["Incidents {0} (i)", "事件 {0} (i)"],
    none: ["No open incident.", "当前无未结事件。"], alone: ["1 alarm", "1 条报警"], members: ["{0} alarms", "{0} 条报警"], partial: ["others' alarms too", "涉及其他单位"],
    partialWhy: ["Alarms of others belong to it too: the city's desk takes the steps; comment here, and handle your own alarms.", "该事件还涉及其他单位的报警：步骤由城市平台推进，您可在此备注并处置本单位报警。"],
    news: ["NEWS: acknowledge again", "有新情况，请再次确认"], overdue: ["OVERDUE: {0}, by {1}", "超时：{0}，已超 {1}"], due: ["{0} due in {1}", "{0}剩余 {1}"], handed: ["hand-over note", "有交接说明"],
    handoverBy: ["Handed over by {0}: ", "{0} 交接："], firstOut: ["First out:", "首发："], first: ["first out", "首发"], stands: ["stands", "未恢复"], flow: ["handling", "处置流程"],
    concern: ["Whom it concerns, what isolates it", "影响与隔离"], noRegistry: ["no registry in force", "台账未生效"], camera: ["camera at {0}", "视频：{0}"], cameras: ["cameras", "视频"],
    notNow: ["{0} is not possible: {1}.", "当前为{1}，不能{0}。"], done: ["{0}: recorded. Now {1}.", "{0}：已记录，当前{1}。"], redFirst: ["Red is dispatched before it is verified.", "红色可先派单后研判。"], returned: ["returned by itself", "自行恢复"], open: ["Incident (i)", "所属事件 (i)"],
    stages: { raised: ["raised", "已上报"], acknowledged: ["acknowledged", "已确认"], verified: ["verified", "已研判"], dispatched: ["dispatched", "已派单"], on_site: ["on site", "已到场"], mitigated: ["mitigated", "已控制"], closed: ["closed", "已关闭"], false_alarm: ["false alarm", "误报"] },
    orders: { acknowledge: ["Acknowledge", "确认"], verify: ["Verify", "研判"], dispatch: ["Dispatch", "派单"], "on-site": ["On site", "到场"], mitigate: ["Mitigated", "控制"], close: ["Close", "关闭"], "false-alarm": ["False alarm", "误报"], reopen: ["Reopen", "重开"],
      assign: ["Assign", "指派"], comment: ["Comment", "备注"], "hand-over": ["Hand over", "交接"] },
    says: { any: ["what there is to say (optional)", "说明（可选）"], "false-alarm": ["why it is none", "误报原因说明"], reopen: ["why", "重开原因"], comment: ["what you know", "备注内容"], "hand-over": ["what the next shift must know", "交接内容"] },
    events: { OPENED: ["raised", "上报"], JOINED: ["an alarm joined", "新报警加入"], WORSE: ["became worse", "升级"], RETURNED: ["returned by itself", "自行恢复"], ACKNOWLEDGE: ["acknowledged", "确认"], VERIFY: ["verified", "研判"], DISPATCH: ["dispatched", "派单"],
      ARRIVE: ["on site", "到场"], MITIGATE: ["mitigated", "控制"], CLOSE: ["closed", "关闭"], FALSE_ALARM: ["false alarm", "误报"], REOPEN: ["reopened", "重开"], ASSIGN: ["assigned", "指派"], COMMENT: ["comment", "备注"], HANDOVER: ["handed over", "交接"] },
  },
  field: {
    title: ["On site", "现场"], code: ["city code of the asset, or a part of its name", "设施编码或名称"], open: ["Open", "打开"], scan: ["Scan", "扫码"], plate: ["The camera of the phone opens a plate's link /field/… too.", "也可用手机相机扫描铭牌上的 /field/… 链接。"],
    nothing: ["Nothing has the code {0}.", "没有编码为 {0} 的设施。"], noCamera: ["No camera: {0}", "无法使用相机：{0}"],
    asking: ["Asking …", "正在读取…"], unseen: ["No link, and this asset was not opened before. Orders are kept all the same.", "无网络，且未曾打开此设施；操作仍会保存。"], old: ["No link: as it was {0} ago", "无网络，显示为 {0}前的情况"],
    gap: ["NO LINK – what you do is kept here and sent when it is back", "无网络，操作已保存在本机，恢复后自动发送"], waits: ["Waits to be sent: {0}", "待发送：{0} 条"], kept: ["Kept in this phone; it is sent when the link is back.", "已保存在本机，网络恢复后发送。"], sent: ["Recorded.", "已记录。"],
    refused: ["Not taken: {0}", "未被接受：{0}"], again: ["Try again", "重试"], away: ["Discard", "放弃"], of: ["of {0}", "{0} 的操作"], notKept: ["This phone keeps nothing ({0}): do it again with a link.", "本机无法保存（{0}），请在有网络时重做。"], askName: ["Write your name first.", "请先填写姓名。"],
    orders: { "on-site": ["On site", "到场"], note: ["Note", "备注"], photo: ["Photo", "拍照"], calibrate: ["Calibrating, 30 min", "标定 30 分钟"], result: ["Result", "标定结果"] },
    did: { on_site: ["on site", "到场"], note: ["note", "备注"], photo: ["photo", "照片"], calibrate: ["calibrating", "标定"], result: ["result", "标定结果"] },
    onSite: ["On site", "到场"], note: ["Note", "备注"], photo: ["Photo", "照片"], calibrate: ["Calibrating", "标定"], result: ["Result of the calibration", "标定结果"], do: ["Record", "提交"],
    optional: ["what there is to say (optional)", "说明（可选）"], found: ["what was found", "现场情况"], takeIt: ["take or choose it", "拍摄或选择"], noPhoto: ["This is no photo, or it is broken.", "不是照片或已损坏。"],
    breaks: ["Alarms are out of service meanwhile; orange and red of gas and other fail-loud rules still call.", "期间报警停用（OOSRV）；燃气等必响规则的橙、红级仍会报警。"], what: ["what", "对象"], allOfIt: ["all that is here", "全部测点"], long: ["how long", "时长"], minutes: ["{0} min", "{0} 分钟"],
    runs: ["Calibrating until {0}, {1}", "标定至 {0}，{1}"], ended: ["Calibration ended {0}, {1}; no result yet", "标定已于 {0} 结束（{1}），尚无结果"], until: ["until {0}", "至 {0}"], tooLate: ["over before it arrived: nothing was held", "送达时已过期，未停用报警"],
    asFound: ["as found", "校前"], asLeft: ["as left", "校后"], passed: ["Passed", "合格"], failed: ["Failed", "不合格"], proved: ["counts as proof test", "计为功能测试"], oosrv: ["OUT OF SERVICE", "停用（检修）"], log: ["done here", "现场记录"], arrived: ["arrived {0}", "{0} 送达"], gone: ["kept no longer", "已过保存期"], phone: ["field page (phone)", "现场页面（手机）"],
  },
  roles: { viewer: ["viewer", "查看"], operator: ["operator", "值班"], engineer: ["engineer", "工程"], admin: ["admin", "管理"] },
  mayNot: ["Your role does not allow this.", "您的角色无此权限。"],
  login: {
    asks: ["Log in to see the city.", "请登录。"], name: ["login", "账号"], password: ["password", "密码"], enter: ["Log in", "登录"],
    unreachable: ["The page does not answer; try again.", "页面无响应，请重试。"], leave: ["Log out", "退出"], me: ["account of {0}", "账号 {0}"],
    everywhere: ["Log out everywhere", "在所有设备退出"], stay: ["Stay", "返回"], whole: ["whole city", "全市"], ends: ["this login ends at {0} at latest", "本次登录最迟于 {0} 失效"],
    ended: ["LOGGED OUT – what you see is old", "登录已失效，画面不是最新"], kept: ["Nothing you typed is lost: log in and go on.", "已输入的内容仍在，重新登录后继续。"],
    again: ["Logged in again; order once more what was not done.", "已重新登录，未完成的操作请再次提交。"],
  },
  verdicts: { true: ["true alarm", "真报警"], false: ["false alarm", "误报"] },
  causes: {
    leak: ["leak", "泄漏"], "third-party": ["third party", "第三方破坏"], equipment: ["equipment", "设备故障"], process: ["process", "工艺运行"],
    weather: ["weather", "天气"], biogas: ["biogas", "沼气"], calibration: ["calibration", "标定"], sensor: ["sensor", "传感器故障"],
    communication: ["communication", "通信"], maintenance: ["maintenance", "检修"], rule: ["rule too tight", "规则不当"], test: ["test", "测试"], unknown: ["unknown", "不明"],
  },
  help: ["Keys", "快捷键"], keys: {
    "j / k": ["next / previous alarm", "下一条 / 上一条报警"], "Enter": ["centre the map on it", "在地图上定位"],
    "a": ["acknowledge the selected alarm", "确认所选报警"], "s": ["shelve, note, assign, judge", "搁置、备注、指派、研判"],
    "i": ["incidents / alarms; from an alarm to its incident", "事件 / 报警切换，由报警转到所属事件"],
    "v d o c x": ["of an incident: verify, dispatch, on site, mitigated, close", "事件：研判、派单、到场、控制、关闭"], "f r": ["of an incident: false alarm, reopen", "事件：误报、重开"],
    "w t h": ["of an incident: assign, comment, hand over", "事件：指派、备注、交接"], "z": ["undo the acknowledgement (10 s)", "撤销确认（10 秒内）"],
    "n": ["show new alarms, sort the list again", "显示新报警并重新排序"], "1 … 8": ["only this lifeline (again: all)", "仅看某一专项（再按恢复全部）"],
    "/": ["find an asset or a sensor", "查找设施或测点"], "m": ["the whole map", "全市地图"],
    "w": ["wall-board", "大屏模式"], "q": ["sound of red alarms on / off", "红色报警声音开 / 关"],
    "l": ["Chinese / English", "中文 / 英文"], "Esc": ["one step back", "返回上一级"], "?": ["this help", "本帮助"],
  },
};
let language = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
export const lang = () => language;
// Parts of the page bring words of their own, and what their keys do.
export const learn = (words, keys) => { Object.assign(WORDS, words); Object.assign(WORDS.keys, keys); };
export function toggle() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}
export const pick = (pair) => pair[language === "zh" ? 1 : 0];
export function say(name, ...values) {
  const found = name.split(".").reduce((at, key) => at?.[key], WORDS);
  return pick(found ?? [name, name]).replace(/\{(\d)\}/g, (_, n) => values[n]);
}
export const keys = () => Object.entries(WORDS.keys).map(([key, pair]) => [key, pick(pair)]);
const LEVELS = { en: ["", "blue", "yellow", "orange", "red"], zh: ["", "蓝", "黄", "橙", "红"] };
export const levelName = (severity) => LEVELS[language][severity] ?? "";
const UNITS = { en: [" s", " min", " h", " d"], zh: [" 秒", " 分钟", " 小时", " 天"] };
export function length(seconds) {
  const u = UNITS[language];
  if (seconds < 100) return Math.max(0, Math.round(seconds)) + u[0];
  if (seconds < 6000) return Math.round(seconds / 60) + u[1];
  if (seconds < 172800) return (seconds / 3600).toFixed(1) + u[2];
  return Math.round(seconds / 86400) + u[3];
}
const makers = new Map(); // making a formatter is slow, and every row asks each second
export function clock(ms, zone, withDay = false) {
  if (!ms) return "–";
  if (!makers.has(zone)) makers.set(zone, new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }));
  return makers.get(zone).format(ms).slice(withDay ? 5 : 11);
}
