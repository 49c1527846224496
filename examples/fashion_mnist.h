// What fashion_mnist.cpp and fashion_mnist_study.cpp share: the data and the
// network.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <filesystem>

namespace fashion {

struct Data {
  torch::Tensor pictures;  // (n, 1, 28, 28), mean 0 and deviation 1
  torch::Tensor labels;    // (n), 0 to 9

  int64_t size() const { return labels.size(0); }
  Data rows(const torch::Tensor& index) const {
    return {pictures.index_select(0, index), labels.index_select(0, index)};
  }
};

// Whether `folder` has what scripts/fashion-mnist puts there.
bool is_there(const std::filesystem::path& folder);
// `part` is "train" (60,000) or "t10k" (10,000).
Data load(const std::filesystem::path& folder, const std::string& part);

// Three 3x3 convolutions, each with a normalisation and followed by pooling to
// half the side, a hidden layer and a head: 98,554 parameters.
struct Network : torch::nn::Module {
  Network();
  torch::Tensor forward(torch::Tensor x);  // (n, 1, 28, 28) -> (n, 10)

  torch::nn::Conv2d conv1, conv2, conv3;
  torch::nn::BatchNorm2d norm1, norm2, norm3;
  torch::nn::Linear hidden, head;
};

struct Result {
  double loss = 0;      // cross-entropy, mean over the pictures
  double accuracy = 0;  // share of right answers
};
Result evaluate(Network& network, const Data& data);

}  // namespace fashion
