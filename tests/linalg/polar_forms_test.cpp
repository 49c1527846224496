// The Gram form against the standard one, and what each precision costs.
#include <torch/torch.h>

#include <limits>

#include "muonlab/linalg/polar.h"
#include "tests/linalg/polar_inputs.h"
#include "tests/support/expect_error.h"

namespace muonlab {
namespace {

using testing::close;
using testing::conditioned;
using testing::error_per_direction;
using testing::expect_error;
using testing::gram_bound;
using testing::Input;
using testing::inputs;
using testing::orthonormal;
using testing::random_tensor;
using testing::same_bits;
using testing::Shape;

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kFloatEps = std::numeric_limits<float>::epsilon();

// Square, wide, tall, vectors and odd sizes.
constexpr Shape kShapes[] = {{6, 6},   {12, 5},  {5, 12}, {1, 9},
                             {9, 1},   {1, 1},   {2, 2},  {40, 24},
                             {24, 40}, {33, 33}, {17, 63}};
constexpr Shape kLarger[] = {{64, 256}, {96, 96}, {160, 48}};

PolarOptions with(PolarOptions options, PolarMethod method,
                  PolarDtype dtype = PolarDtype::kAuto) {
  options.method = method;
  options.dtype = dtype;
  return options;
}

PolarOptions gram(std::string table, int steps, std::string restarts = "auto") {
  return {.method = PolarMethod::kGram,
          .coefficients = std::move(table),
          .steps = steps,
          .restarts = std::move(restarts)};
}

at::Tensor in_double(const at::Tensor& m, const PolarOptions& options) {
  return polar_factor(m.to(at::kDouble),
                      with(options, PolarMethod::kNewtonSchulz));
}

TEST(GramForm, OfOneStepIsTheStandardStep) {
  for (const Shape& shape : kShapes) {
    for (const char* table : {"keller", "cubic", "polar-express"}) {
      for (const Input& in : inputs(shape, 41)) {
        const PolarOptions options = gram(table, 1);
        EXPECT_TRUE(close(polar_factor(in.matrix, options),
                          in_double(in.matrix, options),
                          gram_bound(polar_table(table), 1, shape, kEps)))
            << in.name << ", " << table;
      }
    }
  }
}

TEST(GramForm, InDoubleEqualsTheStandardForm) {
  for (const Shape& shape : kShapes) {
    for (const auto& [table, steps] : {std::pair("keller", 5),
                                       {"you6", 6},
                                       {"cubic", 7},
                                       {"taylor", 12},
                                       {"polar-express", 8}}) {
      for (const char* restarts : {"auto", "none", "1,3", "every 1"}) {
        for (const Input& in : inputs(shape, 42)) {
          const PolarOptions options = gram(table, steps, restarts);
          EXPECT_TRUE(close(polar_factor(in.matrix, options),
                            in_double(in.matrix, options),
                            gram_bound(polar_table(table), steps, shape, kEps)))
              << shape.rows << "x" << shape.columns << ", " << in.name << ", "
              << table << ", restarts " << restarts;
        }
      }
    }
  }
}

TEST(GramForm, FollowsScaleTransposesAndRotations) {
  for (const Shape& shape : kShapes) {
    const at::Tensor m = random_tensor({shape.rows, shape.columns}, 43);
    const at::Tensor u = orthonormal(shape.rows, shape.rows, 44);
    const at::Tensor v = orthonormal(shape.columns, shape.columns, 45);
    PolarOptions options = gram("keller", 5);
    options.eps = 1e-30;
    const double bound = 4 * gram_bound(polar_table("keller"), 5, shape, kEps);
    const at::Tensor f = polar_factor(m, options);
    EXPECT_TRUE(close(polar_factor(m * 1e3, options), f, bound));
    EXPECT_TRUE(close(polar_factor(-m, options), -f, bound));
    EXPECT_TRUE(close(polar_factor(m.t(), options), f.t(), bound));
    EXPECT_TRUE(
        close(polar_factor(u.mm(m).mm(v), options), u.mm(f).mm(v), bound))
        << shape.rows << "x" << shape.columns;
  }
}

TEST(GramForm, RepeatsBitForBit) {
  const at::Tensor m = random_tensor({64, 256}, 46).to(at::kFloat);
  const at::Tensor first = polar_factor(m, gram("keller", 5));
  EXPECT_TRUE(same_bits(polar_factor(m.clone(), gram("keller", 5)), first));
}

TEST(GramForm, RestartsWhereItIsTold) {
  using Steps = std::vector<int>;
  EXPECT_EQ(restart_steps(gram("keller", 5)), (Steps{2}));
  EXPECT_EQ(restart_steps(gram("keller", 2)), (Steps{}));
  EXPECT_EQ(restart_steps(gram("keller", 6)), (Steps{2, 4}));
  EXPECT_EQ(restart_steps(gram("keller", 9)), (Steps{2, 4, 6, 8}));
  PolarOptions narrow = gram("keller", 5);
  narrow.dtype = PolarDtype::kBFloat16;
  EXPECT_EQ(restart_steps(narrow), (Steps{1, 3}));
  narrow.steps = 6;
  EXPECT_EQ(restart_steps(narrow), (Steps{1, 2, 3, 4, 5}));
  EXPECT_EQ(restart_steps(gram("keller", 5, "none")), (Steps{}));
  EXPECT_EQ(restart_steps(gram("keller", 5, "1, 3")), (Steps{1, 3}));
  EXPECT_EQ(restart_steps(gram("keller", 9, "every 3")), (Steps{3, 6}));
  constexpr auto kKind = ErrorKind::kInvalidArgument;
  for (const char* text : {"", "2,", "3,1", "2,2", "0", "-1", "x", "every",
                           "every 0", "every x"}) {
    expect_error(kKind, {"polar restarts", concat("got '", text, "'"), "auto"},
                 [&] { (void)restart_steps(gram("keller", 5, text)); });
  }
  expect_error(kKind, {"restarts", "got step 5 of 5"},
               [&] { (void)restart_steps(gram("keller", 5, "5")); });
}

// The limits below are errors per singular direction against float64 with the
// same steps. In float32 the standard form rounds products of norm 1 and lifts
// the errors of the first step: eps times the slope, 485 for five Keller steps,
// times a share of 1/10, since errors of a random sign hardly ever meet the
// steepest direction.
TEST(Precision, OfFloatIsNearlyExactInTheStandardForm) {
  for (const Shape& shape : kLarger) {
    for (const Input& in : inputs(shape, 47)) {
      const at::Tensor m = in.matrix.to(at::kFloat);
      EXPECT_LE(error_per_direction(polar_factor(m), in_double(m, {})), 1e-5)
          << in.name;
    }
    const at::Tensor m =
        random_tensor({shape.rows, shape.columns}, 48).to(at::kFloat);
    const PolarOptions eight = {.coefficients = "polar-express", .steps = 8};
    EXPECT_LE(error_per_direction(polar_factor(m, eight), in_double(m, eight)),
              3e-5);
  }
}

TEST(Precision, OfFloatIsGoodInTheGramFormWithARestart) {
  for (const Shape& shape : kLarger) {
    for (const auto& [table, steps] :
         {std::pair("keller", 5), {"you5", 5}, {"polar-express-dao", 5}}) {
      for (const Input& in : inputs(shape, 49)) {
        const at::Tensor m = in.matrix.to(at::kFloat);
        const PolarOptions options = gram(table, steps);
        EXPECT_LE(error_per_direction(polar_factor(m, options),
                                      in_double(m, options)),
                  2e-4)
            << in.name << ", " << table;
      }
    }
  }
}

// X in float32 keeps what rounding X each step would lose; what is left is the
// rounding of the products, 2^-8 or so for each of five steps, times the
// slopes near 1.
TEST(Precision, OfBFloat16WithAMasterCopyIsWithinThreePercent) {
  for (const Shape& shape : kLarger) {
    for (const char* table : {"keller", "polar-express-dao"}) {
      for (const Input& in : inputs(shape, 50)) {
        const at::Tensor m = in.matrix.to(at::kFloat);
        PolarOptions options = {.coefficients = table};
        const at::Tensor exact = in_double(m, options);
        options.dtype = PolarDtype::kBFloat16Master;
        EXPECT_LE(error_per_direction(polar_factor(m, options), exact), 0.03)
            << in.name << ", " << table;
      }
    }
  }
}

// Only the two long products are rounded, once each per restart. On square
// matrices, where the form saves nothing, Q is as large as X, and its rounding
// weighs as much.
TEST(Precision, MixedGramIsNoWorseThanTheStandardFormInBFloat16) {
  for (const Shape& shape : kLarger) {
    const double factor = shape.rows == shape.columns ? 1.5 : 1.2;
    for (const auto& [table, steps] : {std::pair("keller", 5),
                                       {"polar-express-dao", 5},
                                       {"polar-express", 8}}) {
      for (const Input& in : inputs(shape, 51)) {
        const at::Tensor m = in.matrix.to(at::kFloat);
        const PolarOptions options = gram(table, steps);
        const at::Tensor exact = in_double(m, options);
        const double mixed = error_per_direction(
            polar_factor(m,
                         with(options, PolarMethod::kGram, PolarDtype::kMixed)),
            exact);
        const double standard = error_per_direction(
            polar_factor(m, with(options, PolarMethod::kNewtonSchulz,
                                 PolarDtype::kBFloat16)),
            exact);
        EXPECT_LE(mixed, factor * standard) << in.name << ", " << table;
      }
    }
  }
}

TEST(Precision, OfBFloat16GramStaysFiniteWithItsOwnRestarts) {
  for (const Shape& shape : kLarger) {
    for (const auto& [table, steps] : {std::pair("keller", 5),
                                       {"polar-express-dao", 5},
                                       {"polar-express", 8}}) {
      for (const Input& in : inputs(shape, 52)) {
        const at::Tensor m = in.matrix.to(at::kFloat);
        const PolarOptions options = gram(table, steps);
        const at::Tensor f = polar_factor(
            m, with(options, PolarMethod::kGram, PolarDtype::kBFloat16));
        // Singular values stay below 2 where the iteration does not run away.
        EXPECT_LE(at::linalg_matrix_norm(f, 2).item<double>(), 2)
            << in.name << ", " << table;
      }
    }
  }
}

TEST(Precision, GivesTheArgumentsOwnDtype) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor m = random_tensor({8, 20}, 53).to(type);
    for (const PolarDtype dtype : {PolarDtype::kFloat64, PolarDtype::kFloat32,
                                   PolarDtype::kBFloat16, PolarDtype::kMixed}) {
      EXPECT_EQ(
          polar_factor(m, with({}, PolarMethod::kGram, dtype)).scalar_type(),
          type);
    }
    EXPECT_EQ(
        polar_factor(m, {.dtype = PolarDtype::kBFloat16Master}).scalar_type(),
        type);
  }
}

TEST(Precision, IsRefusedWhereTheMethodHasNone) {
  constexpr auto kKind = ErrorKind::kInvalidArgument;
  const at::Tensor m = torch::ones({2, 2});
  const auto refused = [&](PolarMethod method, PolarDtype dtype,
                           const std::vector<std::string>& words) {
    expect_error(kKind, words,
                 [&] { (void)polar_factor(m, with({}, method, dtype)); });
  };
  refused(PolarMethod::kNewtonSchulz, PolarDtype::kMixed,
          {"got mixed", "bfloat16-master"});
  refused(PolarMethod::kGram, PolarDtype::kBFloat16Master,
          {"got bfloat16-master", "mixed"});
  for (const PolarMethod exact : {PolarMethod::kSvd, PolarMethod::kQdwh}) {
    refused(exact, PolarDtype::kBFloat16, {"got bfloat16"});
    refused(exact, PolarDtype::kMixed, {"got mixed"});
    refused(exact, PolarDtype::kBFloat16Master, {"got bfloat16-master"});
  }
}

}  // namespace
}  // namespace muonlab
