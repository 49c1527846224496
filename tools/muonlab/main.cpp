// muonlab: the program. Parses the command line, runs one verb, and turns every
// error into one line, a hint and an exit code.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <new>

#include "muonlab/core/error.h"
#include "tools/muonlab/verbs.h"

namespace {

constexpr int kUsageExit = 2;
constexpr int kFilesExit = 4;
constexpr int kInternalExit = 70;

int report(const std::string& message, const std::string& hint, int code) {
  std::cout.flush();
  std::cerr << "muonlab: error: " << message << "\n";
  if (!hint.empty()) std::cerr << "hint: " << hint << "\n";
  return code;
}

int run(int argc, char** argv) {
  CLI::App app{
      "muonlab: the Muon family of optimizers, a language-model trainer and a "
      "laboratory that compares optimizers honestly",
      "muonlab"};
  app.require_subcommand(1);
  app.fallthrough(false);
  app.footer(
      "Exit codes: 0 ok, 2 usage, 3 configuration, 4 data and files, 5 "
      "diverged,\n"
      "6 interrupted, 7 not supported here, 70 internal fault.\n"
      "Example: muonlab study run configs/quick.toml");
  muonlab::tools::Exit exit;
  exit.argv.assign(argv, argv + argc);
  muonlab::tools::add_data_verb(app);
  muonlab::tools::add_tokenizer_verb(app);
  muonlab::tools::add_train_verb(app, exit);
  muonlab::tools::add_eval_verb(app);
  muonlab::tools::add_sample_verb(app);
  muonlab::tools::add_study_verb(app, exit);
  muonlab::tools::add_stats_verb(app);
  muonlab::tools::add_optim_verb(app);
  muonlab::tools::add_inspect_verb(app);
  muonlab::tools::add_polar_verb(app);
  muonlab::tools::add_bench_verb(app, exit);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    return report(e.what(),
                  "`muonlab --help` and `muonlab VERB --help` say "
                  "what there is",
                  kUsageExit);
  }
  std::cout.flush();
  if (!std::cout) {
    return report("the results could not be written to stdout",
                  "check what stdout leads to (a full disk?)", kFilesExit);
  }
  return exit.code;
}

}  // namespace

int main(int argc, char** argv) {
#ifdef __GLIBC__
  // Activations of a few MB would come from mmap and go back to the kernel at
  // once: a tenth of a training step went into page faults. Keep them instead.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
  try {
    return run(argc, argv);
  } catch (const muonlab::Error& e) {
    return report(e.what(), e.hint(), muonlab::exit_code(e.kind()));
  } catch (const std::bad_alloc&) {
    return report("out of memory", "use a smaller model or batch",
                  kInternalExit);
  } catch (const std::exception& e) {
    const std::string what = e.what();  // LibTorch adds a stack to it
    if (what.find("not enough memory") != std::string::npos) {
      return report("out of memory", "use a smaller model or batch",
                    kInternalExit);
    }
    return report("internal fault: " + what.substr(0, what.find('\n')), "",
                  kInternalExit);
  }
}
