// Expecting a muonlab::Error of a kind, with given words in its message.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "muonlab/core/error.h"

namespace muonlab::testing {

/// Fails the test unless `call` throws an Error of `kind` whose message and
/// hint together contain each of `words`.
inline void expect_error(ErrorKind kind, const std::vector<std::string>& words,
                         const std::function<void()>& call) {
  try {
    call();
    ADD_FAILURE() << "no error, expected one";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    const std::string text = std::string(error.what()) + "\n" + error.hint();
    for (const std::string& word : words) {
      EXPECT_NE(text.find(word), std::string::npos)
          << "'" << word << "' is not in: " << text;
    }
  }
}

}  // namespace muonlab::testing
