// The completions browser. Every text is put into the page as text: cells through DataTable.render.text(), which
// escapes, and everything else through textContent.
const unpacked = async (id) => {
  const packed = atob(JSON.parse(document.getElementById(id).textContent));
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return JSON.parse(await new Response(stream).text());
};

const element = (tag, text, attributes = {}) => {
  const made = document.createElement(tag);
  if (text !== null && text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

const escaped = DataTable.render.text().display;
const { rows, scores } = await unpacked('rows');
const FACETS = [
  ['model', 'Trained with'],
  ['asked', 'Asked under'],
  ['set', 'Question set'],
  ['question_id', 'Question'],
  ['seed', 'Seed'],
];
for (const row of rows) {
  row.flags = [...new Set(Object.values(row.judged).map((said) => said.flag).filter(Boolean))];
  row.words = [row.question, row.completion, ...Object.values(row.judged).map((said) => said.reason ?? '')].join('\n');
}

// Filters

const filters = document.getElementById('filters');
const chosen = {};
const labelled = (text, control) => {
  const label = element('label', text);
  label.append(control);
  filters.append(label);
  return control;
};
const addSelect = (key, title, values) => {
  const select = labelled(title, element('select'));
  select.append(element('option', 'all', { value: '' }));
  for (const [i, value] of values.entries()) select.append(element('option', value, { value: String(i) }));
  select.addEventListener('change', () => {
    chosen[key] = select.value === '' ? null : values[Number(select.value)];
    table.draw();
  });
};
const distinct = (key) => [...new Set(rows.map((row) => row[key]))].filter((value) => value !== null && value !== '');
for (const [key, title] of FACETS) addSelect(key, title, distinct(key));
addSelect('flag', 'Flag', ['any flag', 'no flag', ...new Set(rows.flatMap((row) => row.flags))]);

const range = { score: scores[0] ?? null, least: null, most: null };
if (scores.length) {
  const select = labelled('Score', element('select'));
  for (const name of scores) select.append(element('option', name, { value: name }));
  select.addEventListener('change', () => { range.score = select.value; table.draw(); });
  for (const [key, title] of [['least', 'from'], ['most', 'to']]) {
    const input = labelled(title, element('input', null, { type: 'number', min: 0, max: 100, step: 1 }));
    input.addEventListener('input', () => { range[key] = input.value === '' ? null : Number(input.value); table.draw(); });
  }
}

const fits = (row) => {
  for (const [key] of FACETS) if (chosen[key] != null && row[key] !== chosen[key]) return false;
  if (chosen.flag === 'any flag' && !row.flags.length) return false;
  if (chosen.flag === 'no flag' && row.flags.length) return false;
  if (chosen.flag != null && !['any flag', 'no flag'].includes(chosen.flag) && !row.flags.includes(chosen.flag)) return false;
  if (range.least === null && range.most === null) return true;
  const score = row.judged[range.score]?.score ?? null;
  if (score === null) return false;
  return (range.least === null || score >= range.least) && (range.most === null || score <= range.most);
};
DataTable.ext.search.push((settings, texts, index, row) => fits(row));

// The table

const short = (text, length) => (text.length > length ? `${text.slice(0, length)}…` : text);
// DataTables makes markup of what it shows, of hidden cells too, and of what it searches.
const asText = (shown) => (value, type) => {
  const text = String(value ?? '');
  if (type === 'display') return escaped(shown(text));
  return type === 'filter' ? escaped(text) : text;
};
const textColumn = (title, data, length = 80, extra = {}) => ({
  title,
  data,
  type: 'string',
  render: asText((value) => short(value, length)),
  ...extra,
});
const scoreColumn = (name) => ({
  title: escaped(name),
  data: (row) => row.judged[name] ?? null,
  type: 'num',
  className: 'score',
  searchable: false,
  render: (said, type) => {
    if (type !== 'display') return said?.score ?? -1;
    return said === null ? '' : escaped(said.score === null ? said.flag ?? '' : String(said.score));
  },
});
const table = new DataTable('#completions', {
  data: rows,
  columns: [
    {
      title: 'Open',
      data: null,
      orderable: false,
      searchable: false,
      defaultContent: '<button type="button" class="open" aria-expanded="false" aria-label="Show the conversation">+</button>',
    },
    textColumn('Trained with', 'model', 40, { className: 'cell' }),
    textColumn('Seed', 'seed', 8, { className: 'cell' }),
    textColumn('Asked under', 'asked', 30, { className: 'cell' }),
    textColumn('Question set', 'set', 30, { className: 'cell' }),
    textColumn('Question', 'question', 90, {
      className: 'question',
      // On a narrow screen this line stands in for the columns before (pages.css).
      createdCell: (cell, value, row) => {
        const parts = [row.model, row.seed && `seed ${row.seed}`, row.asked, row.set];
        cell.dataset.cell = parts.filter(Boolean).map((part) => short(part, 40)).join(' · ');
      },
    }),
    textColumn('Answer', 'completion', 140, { className: 'answer' }),
    ...scores.map(scoreColumn),
    { title: 'Words', data: 'words', type: 'string', visible: false, render: asText(() => '') },
  ],
  order: [],
  deferRender: true,
  autoWidth: false,
  searchDelay: 250,
  pageLength: 25,
  lengthMenu: [25, 50, 100, 250],
  language: { search: 'Search in questions, answers and reasons', lengthMenu: '_MENU_ rows a page' },
});

const message = (role, text) => {
  const box = element('div', null, { class: `message ${role}` });
  box.append(element('h3', role), element('pre', text));
  return box;
};
const details = (row) => {
  const box = element('div', null, { class: 'details' });
  if (row.system !== null) box.append(message('system', row.system));
  for (const said of row.messages) box.append(message(said.role, said.content));
  box.append(message('assistant', row.completion));
  if (row.finish_reason === 'length') box.append(element('p', 'Cut at the longest completion that the config allows.'));
  const list = element('ul');
  for (const [name, said] of Object.entries(row.judged)) {
    const what = said.score === null ? `no score (${said.flag ?? 'no reason given'})` : `${said.score}`;
    list.append(element('li', `${name}: ${what}${said.reason ? `: ${said.reason}` : ''}`));
  }
  box.append(element('h3', 'judges'), list, element('p', `${row.path}, question ${row.question_id}, sample ${row.sample}`));
  return box;
};
document.querySelector('#completions tbody').addEventListener('click', (event) => {
  const button = event.target.closest('button.open');
  if (!button) return;
  const row = table.row(button.closest('tr'));
  const open = row.child.isShown();
  if (open) row.child.hide();
  else row.child(details(row.data())).show();
  button.setAttribute('aria-expanded', String(!open));
  button.textContent = open ? '+' : '−';
});
document.body.dataset.ready = 'true';
