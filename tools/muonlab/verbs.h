// The verbs of the program; each file adds its own to the command line.
//
// A verb's callback does the work. It throws muonlab::Error, which main()
// turns into a message and an exit code; results go to stdout, progress to
// stderr.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace muonlab::tools {

/// What a verb hands back to main() when it ends without an error.
struct Exit {
  int code = 0;
  std::vector<std::string> argv;  ///< as the program was called
};

void add_data_verb(CLI::App& app);
void add_tokenizer_verb(CLI::App& app);
void add_train_verb(CLI::App& app, Exit& exit);
void add_eval_verb(CLI::App& app);
void add_sample_verb(CLI::App& app);
void add_study_verb(CLI::App& app, Exit& exit);
void add_stats_verb(CLI::App& app);
void add_optim_verb(CLI::App& app);
void add_inspect_verb(CLI::App& app);
void add_polar_verb(CLI::App& app);
void add_bench_verb(CLI::App& app, Exit& exit);

}  // namespace muonlab::tools
