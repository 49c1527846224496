// A dataset and a configuration small enough for tests of training.
#pragma once

#include <string>

#include "muonlab/data/dataset.h"
#include "muonlab/data/prepare.h"
#include "muonlab/train/run_config.h"
#include "tests/data/sample_corpus.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::train {

/// Made-up documents as raw bytes, prepared once per program: about 24,000
/// training tokens and 8,000 in each held-out half.
inline const std::string& tiny_data() {
  static const testing::TemporaryFolder folder;
  static const std::string path = [] {
    data::write_documents(folder / "corpus", 0, 120);
    data::PrepareOptions options;
    options.corpus = folder / "corpus";
    options.out = folder / "data";
    options.tokenizer = data::TokenizerKind::kBytes;
    options.held_out = 0.4;
    data::prepare(options);
    return (folder / "data").string();
  }();
  return path;
}

/// Not resolved. Every matrix starts away from zero, so that all have gradients
/// from the first step on.
inline RunConfig tiny_config() {
  RunConfig config;
  config.data_path = tiny_data();
  config.model.context = 16;
  config.model.width = 16;
  config.model.layers = 2;
  config.model.heads = 2;
  config.model.hidden = 24;
  config.model.init_output_gain = 0.5;
  config.steps = 6;
  config.batch = 8;
  config.threads = 1;
  config.eval_windows = 24;
  return config;
}

}  // namespace muonlab::train
