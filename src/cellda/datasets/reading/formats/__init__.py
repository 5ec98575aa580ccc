"""What each format of image file needs so that no pixel is lost: TIFF, PNG, JPEG; the others are Pillow's alone."""
