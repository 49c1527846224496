// Text from a trained model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "muonlab/data/tokenizer.h"

namespace muonlab::nn {
class LanguageModel;
}

namespace muonlab::train {

struct SampleOptions {
  std::int64_t tokens = 200;  ///< to add, at least 1
  double temperature = 0.8;   ///< 0: always the likeliest token
  std::int64_t top_k = 50;    ///< 0: from all tokens
  std::uint64_t seed = 0;
};

/// Continues `prompt` (separator first, as in training), which it returns too;
/// ends early at a separator. The model sees its last `context` tokens.
[[nodiscard]] std::string sample(const nn::LanguageModel& model,
                                 const data::Tokenizer& tokenizer,
                                 const std::string& prompt,
                                 const SampleOptions& options);

}  // namespace muonlab::train
