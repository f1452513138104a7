// The tile "drizzlewb" in JupyterLab's launcher. It opens a notebook with the workbench and runs it.
// Written by hand: a container of one module, as JupyterLab loads its extensions.
(() => {
  'use strict';
  let shared = {};

  const CELL = [
    'import drizzlewb as dw\n',
    '\n',
    'session = dw.Session()  # files come in through the panel Exposures\n',
    'dw.Workbench(session)'
  ];

  function notebook() {
    return {
      nbformat: 4,
      nbformat_minor: 5,
      metadata: {
        kernelspec: { name: 'python3', display_name: 'Python 3', language: 'python' }
      },
      cells: [
        {
          cell_type: 'code',
          id: 'workbench',
          metadata: {},
          execution_count: null,
          outputs: [],
          source: CELL
        }
      ]
    };
  }

  async function freeName(contents, folder) {
    const listed = await contents.get(folder, { content: true });
    const taken = new Set(listed.content.map(item => item.name));
    for (let k = 0; ; k++) {
      const name = k ? `workbench-${k}.ipynb` : 'workbench.ipynb';
      if (!taken.has(name)) {
        return folder ? `${folder}/${name}` : name;
      }
    }
  }

  async function open(app, args) {
    const contents = app.serviceManager.contents;
    const path = await freeName(contents, args.cwd || '');
    await contents.save(path, { type: 'notebook', format: 'json', content: notebook() });
    const widget = await app.commands.execute('docmanager:open', {
      path,
      factory: 'Notebook',
      kernel: { name: 'python3' }
    });
    await widget.context.ready;
    await widget.sessionContext.ready;
    await app.commands.execute('notebook:run-all-cells');
    return widget;
  }

  async function module() {
    const versions = shared['@jupyterlab/launcher'];
    const { ILauncher } = (await versions[Object.keys(versions)[0]].get())();
    const command = 'drizzlewb:open';
    return {
      __esModule: true,
      default: {
        id: 'drizzlewb-launcher:tile',
        autoStart: true,
        requires: [ILauncher],
        activate: (app, launcher) => {
          app.commands.addCommand(command, {
            label: 'drizzlewb',
            caption: 'Align, clean and drizzle Hubble images',
            execute: args => open(app, args)
          });
          launcher.add({ command, category: 'Notebook', rank: 10 });
        }
      }
    };
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB['drizzlewb-launcher'] = {
    init: scope => {
      shared = scope;
    },
    get: async name => {
      const made = await module();
      return () => made;
    }
  };
})();
