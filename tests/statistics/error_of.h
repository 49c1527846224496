// What a call refuses with.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "muonlab/core/error.h"

namespace muonlab::statistics {

/// The message of the Error(kInvalidArgument) that `call` must throw.
template <typename Call>
std::string error_of(Call call) {
  try {
    (void)call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return error.what();
  }
  ADD_FAILURE() << "expected an Error";
  return "";
}

}  // namespace muonlab::statistics
