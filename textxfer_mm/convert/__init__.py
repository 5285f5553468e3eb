"""Converting checkpoints: those of Text4Vis, of CLIP and its fine-tunings and of MultiTrain to ours, and ours back."""

#: What can be converted, and how such a file looks.
SOURCES = {
    'text4vis': "a checkpoint of Text4Vis' released code (visual.*, perhaps fusion_model.*, logit_scale)",
    'openai': "OpenAI's CLIP (both towers; a TorchScript archive or its state dict)",
    'open_clip': "a CLIP model of open_clip (both towers, with open_clip's names)",
    'actionclip': "a checkpoint of ActionCLIP's released code (a whole CLIP, and fusion_model_state_dict)",
    'huggingface': 'a CLIPModel or CLIPVisionModelWithProjection of Hugging Face (vision_model.*, visual_projection)',
    'vifi-clip': "a checkpoint of ViFi-CLIP's released code (image_encoder.*, text_encoder.*, prompt_learner.*)",
    'multitrain': "a checkpoint of MultiTrain's released code (patch_embed.*, pos_embed_spatial, blocks.*, heads)",
}
