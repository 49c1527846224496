// The tokenizer that needs no training: one token per byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/data/tokenizer.h"

namespace muonlab::data {

/// Ids 0 to 255 are the bytes themselves, 256 is the separator.
class ByteTokenizer final : public Tokenizer {
 public:
  ByteTokenizer();
  [[nodiscard]] std::vector<std::int32_t> encode(
      std::string_view text) const override;
  [[nodiscard]] std::string kind() const override { return "bytes"; }

 private:
  [[nodiscard]] std::vector<std::string> merge_lines() const override {
    return {};
  }
};

}  // namespace muonlab::data
