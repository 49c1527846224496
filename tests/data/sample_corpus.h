// A corpus small enough for tests: documents of made-up words.
#pragma once

#include <filesystem>
#include <string>

#include "muonlab/core/philox.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::data {

/// Document number i: about 300 bytes, different for each i.
inline std::string sample_document(int i) {
  const core::Random random(static_cast<std::uint64_t>(i), "document");
  std::string text = "Address " + std::to_string(i) + ".";
  for (std::uint64_t word = 0; word < 60; ++word) {
    text += ' ';
    const std::uint64_t bits = random.bits(0, word);
    for (std::uint64_t letter = 0; letter < 2 + bits % 5; ++letter) {
      text += static_cast<char>('a' + (bits >> (8 + 4 * letter)) % 16);
    }
  }
  return text + "\n";
}

/// Writes documents [first, last) to folder/NNN.txt.
inline void write_documents(const std::filesystem::path& folder, int first,
                            int last) {
  for (int i = first; i < last; ++i) {
    testing::write(folder / (std::to_string(1000 + i) + ".txt"),
                   sample_document(i));
  }
}

}  // namespace muonlab::data
